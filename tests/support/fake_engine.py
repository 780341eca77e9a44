"""An engine for tests: an image is a program on this machine, a container is a process that runs it.

Stands at the engine edge only: everything above it is the real code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local_aws.container import Container, ContainerError, Ending, Launch

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FakeContainer", "FakeEngine"]

DIGEST = "sha256:" + "0" * 64


class FakeContainer:
    """A process and its output."""

    def __init__(self, launch: Launch, program: Path, arguments: list[str], ending: Ending) -> None:
        self.launch = launch
        self.ending = ending
        inherited = {name: os.environ[name] for name in ("PATH",) if name in os.environ}
        self._process = subprocess.Popen(
            [sys.executable, str(program), *arguments],
            env={**inherited, **_moved(launch), "SAGEMAKER_BASE_DIR": str(launch.ml_dir), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def lines(self) -> Iterator[str]:
        """Yield the output line by line."""
        stream = self._process.stdout
        if stream is None:
            return
        with stream:
            for line in stream:
                yield line.decode(errors="replace").rstrip("\r\n")

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the exit code, or None after the timeout."""
        try:
            return self._process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM, wait, SIGKILL for the process's whole session."""
        self._signal(signal.SIGTERM)
        if self.wait(grace_seconds) is None:
            self._signal(signal.SIGKILL)
            self._process.wait()

    @property
    def address(self) -> tuple[str, int]:
        """Where the container would serve."""
        return ("127.0.0.1", 8080)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)


@dataclass
class FakeEngine:
    """Runs Python programs as images.

    :param programs: image URI → the source text of its ``train``
    :param directory: where the programs are written
    :param ending: what the engine knows of every container's end
    """

    directory: Path
    programs: dict[str, str] = field(default_factory=dict)
    ending: Ending = Ending.OWN
    launches: list[Launch] = field(default_factory=list)
    containers: list[FakeContainer] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    name = "fake"
    network_interface = "lo"

    def resolve(self, image: str) -> str:
        """Return the image by digest."""
        if image not in self.programs:
            message = f"there is no image {image}"
            raise ContainerError(message)
        return f"{image.partition('@')[0].rpartition(':')[0] or image}@{DIGEST}"

    def start(self, launch: Launch) -> Container:
        """Start the program of the image; the words after the image become its arguments."""
        self.resolve(launch.image)
        with self._lock:
            self.launches.append(launch)
            program = self.directory / f"program-{len(self.launches)}.py"
            program.write_text(self.programs[launch.image])
            container = FakeContainer(launch, program, [*launch.entrypoint, *launch.arguments], self.ending)
            self.containers.append(container)
        return container

    def reap(self) -> None:
        """Nothing outlives this engine."""


def _moved(launch: Launch) -> dict[str, str]:
    """Return the launch's variables with paths below /opt/ml where they are on this machine."""
    return {
        name: value.replace("/opt/ml", str(launch.ml_dir), 1) if value.startswith("/opt/ml/") else value
        for name, value in launch.environment.items()
    }
