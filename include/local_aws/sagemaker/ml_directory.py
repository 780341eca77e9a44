"""The directory that a training container sees as ``/opt/ml``.

Owns the paths of the container contract and their creation. Must not know requests, S3 or processes.
"""

from __future__ import annotations

import json
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CHECKPOINTS", "ML_ROOT", "MlDirectory"]

ML_ROOT = "/opt/ml"
CHECKPOINTS = f"{ML_ROOT}/checkpoints"

_FAILURE_CHARACTERS = 1024
"""How much of the failure file the API shows (developer guide, training algorithm output)."""


class MlDirectory:
    """``/opt/ml`` of one host.

    :param root: directory of this machine
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model = root / "model"
        self.output_data = root / "output" / "data"
        self._config = root / "input" / "config"
        self._data = root / "input" / "data"
        self._failure = root / "output" / "failure"

    def lay_out(self, config_files: Mapping[str, Any]) -> None:
        """Make the directories that exist before ``train`` starts, and the files of ``input/config``.

        :param config_files: file name → JSON value
        """
        made_before_start = ("output/metrics/sagemaker", "output/profiler")
        for directory in (self.model, self.output_data, self._config, self._data):
            directory.mkdir(parents=True)
        for path in made_before_start:
            (self.root / path).mkdir(parents=True)
        for name, value in config_files.items():
            (self._config / name).write_text(json.dumps(value), encoding="utf-8")

    def channel(self, name: str) -> Path:
        """Return the directory of a data channel."""
        return self._data / name

    def write_manifest(self, name: str, lines: list[str]) -> None:
        """Write ``<channel>-manifest``, which AWS leaves beside the channel's data (seen, not documented)."""
        (self._data / f"{name}-manifest").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    def local_path(self, container_path: str) -> Path:
        """Return the place on this machine of a path in the container.

        :raises ValueError: when the path is not below ``/opt/ml``, the only directory that an engine provides
        """
        parts = PurePosixPath(container_path)
        if ".." in parts.parts or not parts.is_relative_to(ML_ROOT):
            message = f"{container_path!r} is not below {ML_ROOT}"
            raise ValueError(message)
        return self.root / Path(parts.relative_to(ML_ROOT))

    def failure_text(self) -> str:
        """Return the first 1,024 characters that the container left in ``output/failure``; empty without the file."""
        try:
            with self._failure.open(encoding="utf-8", errors="replace") as file:
                return file.read(_FAILURE_CHARACTERS)
        except OSError:
            return ""
