"""One instance that serves, for a production variant or a transform job: a container with its model and its health.

Owns start, health checks, output, requests in flight and the end of one container. Must not know variants' traffic.
"""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import urllib3

from local_aws.container import Container, ContainerError, Engine, Launch
from local_aws.sagemaker.log_stream import LogStream
from local_aws.sagemaker.model_data import ModelDataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.sagemaker.model import HostedContainer

__all__ = [
    "STOP_GRACE_SECONDS",
    "CannotStartError",
    "Instance",
    "InstanceError",
    "InstancePlan",
    "NotHealthyError",
]

STOP_GRACE_SECONDS = 30.0
"""Between SIGTERM and SIGKILL (developer guide, "Custom Inference Code with Hosting Services")."""

_PING_TIMEOUT_SECONDS = 2.0
"""For one attempt (same page)."""
_STARTING_PING_SECONDS = 0.3
_STEADY_PING_SECONDS = 5.0
_FAILED_PINGS = 3
"""AWS says neither how often it pings nor how many failures it forgives; these are guesses."""

_LAST_OUTPUT_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class InstanceError(Exception):
    """The instance did not come up; the text is the endpoint's FailureReason."""


class CannotStartError(InstanceError):
    """The engine cannot start the container."""


class NotHealthyError(InstanceError):
    """The container ended, or did not become healthy in time."""


@dataclass(frozen=True)
class InstancePlan:
    """What an instance is to run.

    :param variant: whose instance it is: name of a production variant, or of a transform job
    :param image: by digest
    :param log_group: where its output goes, to the stream ``<variant>/<instance id><stream_end>``
    :param startup_timeout_seconds: from the start of the container to the first 200 of ``/ping``
    :param kind: ``endpoint`` or ``transform``: for what it serves
    """

    variant: str
    image: str
    container: HostedContainer
    log_group: str
    startup_timeout_seconds: float
    kind: str = "endpoint"
    stream_end: str = ""


class Instance:
    """A serving container.

    :param plan: what to run
    """

    def __init__(self, plan: InstancePlan, cloud: Cloud, engine: Engine) -> None:
        self.instance_id = f"i-{secrets.token_hex(9)[:17]}"
        self._plan = plan
        self._cloud = cloud
        self._engine = engine
        self._directory: Path = cloud.state_dir / f"{plan.kind}s" / self.instance_id
        self._container: Container | None = None
        self._pings: urllib3.HTTPConnectionPool | None = None
        self._reader: threading.Thread | None = None
        self._closing = threading.Event()
        self._in_flight = 0
        self._idle = threading.Condition()

    @property
    def log_stream(self) -> str:
        """The stream of its output."""
        return f"{self._plan.variant}/{self.instance_id}{self._plan.stream_end}"

    @property
    def in_flight(self) -> int:
        """How many requests it is answering."""
        return self._in_flight

    @property
    def address(self) -> tuple[str, int]:
        """Loopback host and port at which the container serves.

        :raises InstanceError: when it is not started yet
        """
        if self._container is None:
            message = f"instance {self.instance_id} of variant {self._plan.variant} is not started"
            raise InstanceError(message)
        return self._container.address

    def start(self, cancelled: threading.Event) -> None:
        """Start the container and wait until it is healthy.

        :param cancelled: set when nobody needs the instance any more
        :raises InstanceError: when it cannot start, ends, or is not healthy in time
        """
        plan = self._plan
        try:
            if plan.container.data is not None:
                plan.container.data.fetch(self._cloud.client("s3"), self._directory / "model")
            (self._directory / "model").mkdir(parents=True, exist_ok=True)
            self._container = self._engine.start(
                Launch(
                    name=f"{plan.kind}-{self.instance_id}",
                    image=plan.image,
                    arguments=("serve",),
                    ml_dir=self._directory,
                    environment=self._environment(),
                    read_only_model=True,
                )
            )
        except ModelDataError as error:
            raise InstanceError(str(error)) from error
        except ContainerError as error:
            message = (
                f"CannotStartContainerError. Please ensure the model container for variant {plan.variant} starts "
                f"correctly when invoked with 'docker run {plan.container.image} serve'"
            )
            _logger.warning("%s: %s", message, error)
            raise CannotStartError(message) from error
        self._listen(self._container)
        self._await_health(self._container, cancelled)

    def watch(self, on_failure: Callable[[Instance], None]) -> None:
        """Check the health from now on.

        :param on_failure: called once, from another thread, when the container ended or stopped answering
        """
        threading.Thread(target=self._watch, args=(on_failure,), name=f"health {self.instance_id}", daemon=True).start()

    def enter(self) -> None:
        """Count one request in."""
        with self._idle:
            self._in_flight += 1

    def leave(self) -> None:
        """Count one request out."""
        with self._idle:
            self._in_flight -= 1
            self._idle.notify_all()

    def close(self, *, drain_seconds: float, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Let running requests finish, then end the container and remove its files. Harmless when repeated.

        :param drain_seconds: how long to wait for running requests
        """
        self._closing.set()
        with self._idle:
            self._idle.wait_for(lambda: not self._in_flight, drain_seconds)
        if self._container is not None:
            self._container.stop(grace_seconds)
        if self._reader is not None:
            self._reader.join(_LAST_OUTPUT_SECONDS)
        if self._pings is not None:
            self._pings.close()
        _remove(self._directory)

    def _environment(self) -> dict[str, str]:
        """Return the container's variables: what a training container gets too, and the model's own.

        Which variables the platform adds is not public; that the model's role works in a container is.
        """
        variables = {"AWS_REGION": self._cloud.region}
        if not self._plan.container.is_isolated:
            variables.update(self._cloud.credentials())
        return {**variables, **self._plan.container.environment}

    def _listen(self, container: Container) -> None:
        host, port = container.address
        self._pings = urllib3.HTTPConnectionPool(host, port, maxsize=1, retries=False)
        log = LogStream(self._cloud, self._plan.log_group, self.log_stream)
        self._reader = threading.Thread(
            target=_read, args=(container, log), name=f"output {self.instance_id}", daemon=True
        )
        self._reader.start()

    def _await_health(self, container: Container, cancelled: threading.Event) -> None:
        deadline = time.monotonic() + self._plan.startup_timeout_seconds
        while time.monotonic() < deadline and not cancelled.is_set():
            if self._answers():
                return
            # A container that ends is not started again as on AWS, where that loop takes many minutes to fail.
            if container.wait(_STARTING_PING_SECONDS) is not None:
                break
        message = (
            f"The primary container for production variant {self._plan.variant} did not pass the ping health check. "
            "Please check CloudWatch logs for this endpoint."
        )
        raise NotHealthyError(message)

    def _watch(self, on_failure: Callable[[Instance], None]) -> None:
        failures = 0
        while failures < _FAILED_PINGS and self._container is not None:
            ended = self._container.wait(_STEADY_PING_SECONDS) is not None
            if self._closing.is_set():
                return
            if ended:
                break
            failures = 0 if self._answers() else failures + 1
        _logger.warning("Instance %s of variant %s is not healthy any more", self.instance_id, self._plan.variant)
        on_failure(self)

    def _answers(self) -> bool:
        if self._pings is None:
            return False
        try:
            answer = self._pings.urlopen("GET", "/ping", timeout=_PING_TIMEOUT_SECONDS, retries=False, redirect=False)
        except (urllib3.exceptions.HTTPError, OSError):
            return False
        return answer.status == 200


def _read(container: Container, log: LogStream) -> None:
    try:
        for line in container.lines():
            log.write(line)
    except Exception:
        _logger.exception("The output of a container cannot be read on")
    log.close()


def _remove(directory: Path) -> None:
    """Remove a tree whose model files nobody may write to; another caller may be at the same tree."""
    with suppress(FileNotFoundError):
        for path in (directory, *directory.rglob("*")):
            if path.is_dir():
                path.chmod(0o755)
    shutil.rmtree(directory, ignore_errors=True)
