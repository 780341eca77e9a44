"""A started container: its output, its exit code and its end.

Owns the threads that wait for one container and remove it. Must not know images or launches.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from typing import TYPE_CHECKING, Any

from docker.errors import DockerException
from requests.exceptions import RequestException

from local_aws.container import ContainerError, Ending
from local_aws.output import cut_streams

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["ENGINE_ERRORS", "DockerContainer", "close_stream", "remove_container"]

ENGINE_ERRORS = (DockerException, RequestException, OSError)
"""What a call of the ``docker`` package raises when the engine refuses or is gone."""

_LOST_CODE = 255
"""Exit code of a container whose engine went away; Docker's own client uses 125 to 127 and programs the rest."""
_LAST_OUTPUT_SECONDS = 10.0
"""How long a reader of the output may still need after the end, before the container and its log are removed."""

_logger = logging.getLogger(__name__)


class DockerContainer:
    """A started container.

    :param api: docker's low-level client
    :param output: docker's stream of pairs of stdout and stderr, attached before the start
    :param address: host and port behind which the container's port 8080 is, if it serves
    :param on_end: called once when the container has ended, before ``wait`` returns
    :param on_removed: called once when the engine has forgotten the container
    """

    def __init__(
        self,
        api: Any,
        container_id: str,
        output: Any,
        address: tuple[str, int] | None,
        on_end: Callable[[], None],
        on_removed: Callable[[], None],
    ) -> None:
        self._api = api
        self._id = container_id
        self._output = output
        self._address = address
        self._on_end = on_end
        self._on_removed = on_removed
        self._exit_code = _LOST_CODE
        self._ending = Ending.LOST
        self._ended = threading.Event()
        self._was_read = threading.Event()
        threading.Thread(target=self._await_end, name=f"container {container_id[:12]}", daemon=True).start()

    def lines(self) -> Iterator[str]:
        """Return the output line by line, without line ends; bytes that are not UTF-8 become U+FFFD."""
        return cut_streams(self._chunks())

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the exit code, or None when it still runs after the timeout; killed by signal N is 128 + N."""
        return self._exit_code if self._ended.wait(timeout_seconds) else None

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM to the program, wait, then SIGKILL; return when it is gone. Harmless when it has ended."""
        if not self._ended.is_set():
            # Not `docker stop`: it sends the image's own STOPSIGNAL, and it counts in whole seconds.
            self._signal("SIGTERM")
            if not self._ended.wait(grace_seconds):
                self._signal("SIGKILL")
                self._ended.wait()

    @property
    def ending(self) -> Ending:
        """What ended it; known once ``wait`` has a code."""
        return self._ending

    @property
    def address(self) -> tuple[str, int]:
        """Host and port behind which the container's port 8080 is."""
        if self._address is None:
            message = "this container was not started to serve"
            raise ContainerError(message)
        return self._address

    def _signal(self, name: str) -> None:
        try:
            self._api.kill(self._id, signal=name)
        except ENGINE_ERRORS as error:
            # It ended in between, or the engine did.
            _logger.debug("%s does not reach container %s: %s", name, self._id[:12], error)

    def _await_end(self) -> None:
        try:
            self._exit_code = int(self._api.wait(self._id, timeout=None)["StatusCode"])
            killed = self._api.inspect_container(self._id)["State"]["OOMKilled"]
            self._ending = Ending.OUT_OF_MEMORY if killed else Ending.OWN
        except ENGINE_ERRORS:
            _logger.exception("The engine lost container %s", self._id[:12])
        self._on_end()
        self._ended.set()
        self._was_read.wait(_LAST_OUTPUT_SECONDS)
        close_stream(self._output)
        remove_container(self._api, self._id)
        self._on_removed()

    def _chunks(self) -> Iterator[tuple[bytes | None, bytes | None]]:
        try:
            yield from self._output
        except ENGINE_ERRORS:
            _logger.exception("The output of container %s cannot be read on", self._id[:12])
        finally:
            self._was_read.set()


def close_stream(stream: Any) -> None:
    """Close one of docker's streams, whatever state its socket is in."""
    with contextlib.suppress(*ENGINE_ERRORS):
        stream.close()


def remove_container(api: Any, container_id: str) -> None:
    """Remove a container with its volumes and its log; harmless when it is gone."""
    try:
        api.remove_container(container_id, v=True, force=True)
    except ENGINE_ERRORS as error:
        _logger.debug("Container %s cannot be removed: %s", container_id[:12], error)
