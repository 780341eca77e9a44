"""The program ``serve``: load the model, then answer HTTP until SIGTERM.

Environment:

- ``SAGEMAKER_BIND_TO_PORT``: the port, 8080 unless SageMaker says otherwise (multi-container endpoints).
- ``SAGEMAKER_BIND_TO_ADDRESS``: the address, 0.0.0.0 by default. This one is ours, for engines without containers,
  where the server must stay on the loopback address.
- ``MODEL_SERVER_WORKERS``: processes that share the port, 1 by default.
"""

import os
import signal
import sys
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from sagemaker_container.errors import ConfigurationError, ContainerError
from sagemaker_container.output import report
from sagemaker_container.paths import Paths

if TYPE_CHECKING:
    from sagemaker_container.asgi import Application

DRAIN_SECONDS = 25
"""SageMaker kills the container 30 seconds after SIGTERM."""

KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 seconds after which SageMaker gives up on an answer, so the server never hangs up first."""


@dataclass(frozen=True)
class ServerSettings:
    """Where and how to listen."""

    address: str
    port: int
    workers: int

    @classmethod
    def from_environment(cls) -> "ServerSettings":
        """Return the settings of this process, or raise ``ConfigurationError``."""
        return cls(
            address=os.environ.get("SAGEMAKER_BIND_TO_ADDRESS") or "0.0.0.0",  # noqa: S104 - SageMaker's contract
            port=_whole("SAGEMAKER_BIND_TO_PORT", 8080, 65_535),
            workers=_whole("MODEL_SERVER_WORKERS", 1, 256),
        )


def main() -> int:
    """Serve, and return the exit code."""
    signal.signal(signal.SIGTERM, _leave)
    try:
        _serve(ServerSettings.from_environment())
    except ContainerError as error:
        report(f"serving failed: {error}")
        return 1
    return 0


def create_application() -> "Application":
    """Load the model for one server process."""
    from model import load
    from sagemaker_container.asgi import Application

    return Application(load(Paths.from_environment().model))


def _serve(settings: ServerSettings) -> None:
    import uvicorn

    # Read by numpy and torch when they are imported: workers that each use every core slow one another down.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, _usable_cores() // settings.workers)))
    # With several workers, too, the model is loaded here first: a broken artifact must end the program, and a
    # supervisor would start its dying workers again and again.
    application = create_application()
    several = settings.workers > 1
    uvicorn.run(
        "sagemaker_container.serving:create_application" if several else application,
        factory=several,
        host=settings.address,
        port=settings.port,
        workers=settings.workers,
        lifespan="off",
        ws="none",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
    )


def _usable_cores() -> int:
    """Count the cores this process may use; macOS only tells how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _leave(_number: int, _frame: FrameType | None) -> None:
    """End the program: during start-up at once, later when the server has drained and hands the signal on."""
    sys.exit(0)


def _whole(variable: str, default: int, highest: int) -> int:
    text = os.environ.get(variable) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= highest:
        message = f"{variable} is {text!r}; expected a whole number from 1 to {highest}."
        raise ConfigurationError(message)
    return int(text)
