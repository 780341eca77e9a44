"""Builds the ``/opt/ml`` tree of one job in a temporary folder and runs the container's programs on it."""

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sagemaker_container.training import main

ROOT = Path(__file__).parents[3]
PROGRAMS = ROOT / "container"
IRIS = ROOT / "include" / "data" / "iris"
SMALLEST = IRIS / "partitions" / "2026-01-01"


class OptMl:
    """One host's ``/opt/ml``.

    :param base: the folder that stands for it.
    :param programs: the folder with ``train`` and ``serve``.
    """

    def __init__(self, base: Path, programs: Path = PROGRAMS) -> None:
        self.base = base
        self._programs = programs
        self.config = base / "input" / "config"
        self.model = base / "model"
        self.checkpoints = base / "checkpoints"
        self.config.mkdir(parents=True)
        self._channels: dict[str, dict[str, str]] = {}

    def hyperparameters(self, **values: object) -> "OptMl":
        """Write the hyperparameters as SageMaker does: every value as text."""
        return self._write("hyperparameters.json", {name: str(value) for name, value in values.items()})

    def channel(self, name: str, files: Mapping[str, str] | None = None, *, sharded: bool = False) -> "OptMl":
        """Add a channel with files given by their name without the suffix ``.csv``."""
        folder = self.base / "input" / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        for stem, content in (files or {}).items():
            (folder / f"{stem}.csv").write_text(content, encoding="utf-8")
        distribution = "ShardedByS3Key" if sharded else "FullyReplicated"
        self._channels[name] = {"TrainingInputMode": "File", "S3DistributionType": distribution}
        return self._write("inputdataconfig.json", self._channels)

    def iris(self, partition: Path = SMALLEST) -> "OptMl":
        """Add the channels of an Iris partition and name the label."""
        for channel in ("train", "validation"):
            self.channel(channel)
            shutil.copytree(partition / channel, self.base / "input" / "data" / channel, dirs_exist_ok=True)
        return self.hyperparameters(label_column="species")

    def hosts(self, current: str, *names: str) -> "OptMl":
        """Make this one host of several."""
        content = {"current_host": current, "hosts": names, "network_interface_name": "eth0"}
        return self._write("resourceconfig.json", content)

    def with_checkpoints(self) -> "OptMl":
        """Make the folder that a job with ``CheckpointConfig`` has."""
        self.checkpoints.mkdir()
        return self

    def start(self, program: str, **environment: str) -> subprocess.Popen[str]:
        """Start ``train`` or ``serve`` as a process of its own."""
        return subprocess.Popen(
            [sys.executable, str(self._programs / program)],
            env={**os.environ, "SAGEMAKER_BASE_DIR": str(self.base), **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def train_here(self, monkeypatch: pytest.MonkeyPatch) -> int:
        """Run ``train`` in this process, which saves importing torch again, and return its exit code."""
        monkeypatch.setenv("SAGEMAKER_BASE_DIR", str(self.base))
        return main()

    def failure(self) -> str:
        """Return the failure file's text."""
        return (self.base / "output" / "failure").read_text(encoding="utf-8")

    def description(self) -> dict[str, Any]:
        """Return the content of ``model.json``."""
        content: dict[str, Any] = json.loads((self.model / "model.json").read_text(encoding="utf-8"))
        return content

    def _write(self, name: str, content: object) -> "OptMl":
        (self.config / name).write_text(json.dumps(content), encoding="utf-8")
        return self


def free_port() -> int:
    """Return a loopback port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
