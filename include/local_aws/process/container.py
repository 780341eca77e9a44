"""A process group that stands for a container.

Owns its output, its exit code and its end. Must not know images.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws.container import ContainerError, Ending
from local_aws.output import cut_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

__all__ = ["Command", "ProcessContainer"]

_READ_BYTES = 65_536
_KILLED = 128 + signal.SIGKILL
_LAST_WORDS_SECONDS = 1.0
"""How long to listen after the end for a grandchild that left the group but kept the output open."""


@dataclass(frozen=True)
class Command:
    """A program to run.

    :param words: absolute path of the program and its arguments
    :param environment: all of its variables
    :param port: loopback port on which it is to serve, if it is a server
    """

    words: Sequence[str]
    working_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None


class ProcessContainer:
    """A started program with everything it starts.

    :param on_start: called with the group's number as soon as the program runs
    :param on_end: called once when the program has ended, with the same number
    :param is_first: whether it stands for a container's first process, which gets no SIGTERM that it does not handle
    :param kernel_counters: file in which the kernel counts what it killed for want of memory
    :raises OSError: when the program cannot be executed
    """

    def __init__(
        self,
        command: Command,
        on_start: Callable[[int], None],
        on_end: Callable[[int], None],
        *,
        is_first: bool = False,
        kernel_counters: Path = Path("/proc/vmstat"),
    ) -> None:
        self._is_first = is_first
        self._kernel_counters = kernel_counters
        self._port = command.port
        self._process = subprocess.Popen(
            list(command.words),
            cwd=command.working_dir,
            env=dict(command.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._on_end = on_end
        self._ended = threading.Event()
        self._kills_before = self._kills_for_memory()
        self._kills_after = self._kills_before
        on_start(self._process.pid)
        threading.Thread(target=self._await_end, name=f"container-{self._process.pid}", daemon=True).start()

    def lines(self) -> Iterator[str]:
        """Return the output line by line, without line ends; bytes that are not UTF-8 become U+FFFD."""
        return cut_lines(self._chunks())

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the exit code, or None when it still runs after the timeout; killed by signal N is 128 + N."""
        if not self._ended.wait(timeout_seconds):
            return None
        code = self._process.returncode
        # Source: Docker, as every shell, gives a program ended by a signal this code.
        return 128 - code if code < 0 else code

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM to the program, which must tell its children as in Docker, then SIGKILL to all of them."""
        if not self._ended.is_set():
            if not self._is_first or _handles(self._process.pid, signal.SIGTERM):
                self._process.terminate()
            if not self._ended.wait(grace_seconds):
                self._kill_group()
                self._ended.wait()

    @property
    def ending(self) -> Ending:
        """Out of memory when the kernel killed something for it while the program ran, and the program went by SIGKILL.

        Which process the kernel killed is not public, so that another one may have been meant.
        """
        has_killed = self._kills_after > self._kills_before
        return Ending.OUT_OF_MEMORY if has_killed and self.wait(0) == _KILLED else Ending.OWN

    @property
    def address(self) -> tuple[str, int]:
        """Loopback host and port on which the program was told to serve."""
        if self._port is None:
            message = "this container was not started to serve"
            raise ContainerError(message)
        return ("127.0.0.1", self._port)

    def _await_end(self) -> None:
        self._process.wait()
        self._kills_after = self._kills_for_memory()
        # A container ends with its first process: whatever is left of the group goes too.
        self._kill_group()
        self._on_end(self._process.pid)
        self._ended.set()

    def _kills_for_memory(self) -> int:
        """Return how many processes the kernel has killed for want of memory, 0 where it does not say."""
        try:
            counters = self._kernel_counters.read_text()
        except OSError:
            return 0
        return next((int(line.split()[1]) for line in counters.splitlines() if line.startswith("oom_kill ")), 0)

    def _kill_group(self) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _chunks(self) -> Iterator[bytes]:
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            while self._is_readable(stream.fileno()):
                chunk = os.read(stream.fileno(), _READ_BYTES)
                if not chunk:
                    return
                yield chunk

    def _is_readable(self, descriptor: int) -> bool:
        """Wait for output; say no once the program has ended and nothing came for a while."""
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        while True:
            has_ended = self._ended.is_set()
            if poll.poll(_LAST_WORDS_SECONDS * 1000):
                return True
            if has_ended:
                return False


def _handles(pid: int, number: signal.Signals) -> bool:
    """Tell whether a program has a handler for a signal; yes where the system does not say.

    The first process of a container gets no signal from outside that it does not handle, SIGKILL apart: the default
    action is left out for it. Source: pid_namespaces(7).
    """
    try:
        status = Path(f"/proc/{pid}/status").read_text(errors="replace")
    except OSError:
        return True
    caught = next((line.split()[1] for line in status.splitlines() if line.startswith("SigCgt:")), None)
    return caught is None or bool(int(caught, 16) >> (number - 1) & 1)
