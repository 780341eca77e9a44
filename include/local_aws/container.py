"""What an engine is: the one interface behind which a container runs.

The services above know only these types. ``engine_process`` runs programs without isolation;
``engine_docker`` runs containers. Must not know AWS requests.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

__all__ = ["Container", "ContainerError", "Ending", "Engine", "EngineLostError", "Launch", "cannot_start"]


class ContainerError(Exception):
    """The container could not be started: unknown image, no such program, no room."""


class EngineLostError(ContainerError):
    """The engine does not answer any more."""


class Ending(enum.Enum):
    """What a container came to, beside its exit code."""

    OWN = "ended by itself or by a signal that somebody sent"
    OUT_OF_MEMORY = "the kernel killed a process of it for want of memory"
    LOST = "the engine went away while the container ran"


@dataclass(frozen=True)
class Launch:
    """Everything an engine needs to start one container.

    :param name: unique among running containers, for example ``training-<job>-algo-1``
    :param image: image URI as the request gave it, by tag or by digest
    :param arguments: what follows the image in ``docker run``: ``("train",)`` or ``("serve",)``
    :param entrypoint: what ``docker run --entrypoint`` gets, if anything
    :param ml_dir: directory of this machine that the container sees as ``/opt/ml``
    :param environment: variables of the container
    :param host: name under which the other containers of ``network`` find this one
    :param network: containers of one job share it; None for a container of its own
    :param read_only_model: hosting mounts ``/opt/ml/model`` read-only
    :param is_isolated: the containers of ``network`` reach one another and nothing else
    """

    name: str
    image: str
    arguments: Sequence[str]
    ml_dir: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    entrypoint: Sequence[str] = ()
    host: str = "algo-1"
    network: str | None = None
    read_only_model: bool = False
    is_isolated: bool = False


class Container(Protocol):
    """A running container."""

    def lines(self) -> Iterator[str]:
        """Yield stdout and stderr line by line, without line ends, until the container has ended."""

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the exit code, or None when it still runs after the timeout."""

    def stop(self, grace_seconds: float) -> None:
        """Send SIGTERM, wait, then SIGKILL; return when the container is gone. Harmless when it has ended."""

    @property
    def ending(self) -> Ending:
        """What ended it, as far as the engine knows; asked for when ``wait`` has given a code."""

    @property
    def address(self) -> tuple[str, int]:
        """Loopback host and port behind which the container's port 8080 is reached."""


class Engine(Protocol):
    """A way to run containers."""

    @property
    def name(self) -> str:
        """``docker`` or ``process``."""

    @property
    def network_interface(self) -> str:
        """Name of the interface over which the containers of a job reach each other."""

    def resolve(self, image: str) -> str:
        """Return the image URI pinned by digest; raise ContainerError when there is no such image."""

    def start(self, launch: Launch) -> Container:
        """Start a container; raise ContainerError when it cannot start, EngineLostError when there is no engine."""

    def reap(self) -> None:
        """End whatever an earlier life of this engine left running."""


def cannot_start(launch: Launch, reason: str) -> ContainerError:
    """Return the error of a container that does not start, in AWS's words with the reason after them."""
    command = " ".join(["docker run", launch.image, *launch.arguments])
    message = (
        f"CannotStartContainerError. Please make sure the container can be run with '{command}'. "
        f"Please refer SageMaker documentation for details. ({reason})"
    )
    return ContainerError(message)
