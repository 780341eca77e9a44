"""Read the JSON files in ``/opt/ml/input/config``.

A file that is missing stands for its empty default, so the program can also be run by hand on a bare folder.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_container.errors import ConfigurationError
from sagemaker_container.paths import Paths

PLATFORM_PREFIXES = ("sagemaker_", "_tuning_objective_metric")
"""Hyperparameters that the SageMaker SDK or hyperparameter tuning adds for their own use."""


@dataclass(frozen=True)
class Channel:
    """One named input of the job.

    :param sharded: every host holds its own part (``ShardedByS3Key``) instead of all of the data.
    """

    name: str
    directory: Path
    sharded: bool = False


@dataclass(frozen=True)
class Hosts:
    """The machines of the job, in the platform's order."""

    names: tuple[str, ...] = ("localhost",)
    current: str = "localhost"
    network_interface: str | None = None

    @property
    def rank(self) -> int:
        """Position of this host, from 0."""
        return self.names.index(self.current)


def read_hyperparameters(paths: Paths) -> dict[str, Any]:
    """Return the job's hyperparameters with every value decoded.

    All values arrive as text. Some clients write ``5`` and ``adam``, others JSON-encode first and write ``"adam"`` with
    the quotes inside, so each value is read as JSON and kept as it is where that fails.
    """
    raw = _read_object(paths.config / "hyperparameters.json")
    return {name: _decode(value) for name, value in raw.items() if not name.startswith(PLATFORM_PREFIXES)}


def read_channels(paths: Paths) -> dict[str, Channel]:
    """Return the job's channels by name; without ``inputdataconfig.json`` every folder of data is one."""
    declared = _read_object(paths.config / "inputdataconfig.json")
    if not declared and paths.data.is_dir():
        declared = {folder.name: {} for folder in sorted(paths.data.iterdir()) if folder.is_dir()}
    return {name: _channel(paths, name, options) for name, options in declared.items()}


def read_hosts(paths: Paths) -> Hosts:
    """Return the machines of the job; without ``resourceconfig.json`` there is one."""
    declared = _read_object(paths.config / "resourceconfig.json")
    if not declared:
        return Hosts()
    names, current = tuple(declared.get("hosts", ())), declared.get("current_host")
    if current not in names:
        message = f"resourceconfig.json: current_host {current!r} is not one of the hosts {list(names)}."
        raise ConfigurationError(message)
    return Hosts(names, str(current), declared.get("network_interface_name"))


def find_checkpoint_directory(paths: Paths) -> Path | None:
    """Return the folder that SageMaker keeps in step with S3, or None for a job without checkpoints.

    ``checkpointconfig.json`` is seen on the platform but not documented, so the default folder counts as well.
    """
    declared = _read_object(paths.config / "checkpointconfig.json").get("LocalPath")
    directory = paths.relocate(declared) if declared else paths.checkpoints
    return directory if directory.is_dir() else None


def _read_object(file: Path) -> dict[str, Any]:
    if not file.is_file():
        return {}
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        message = f"{file.name} is not valid JSON: {error}."
        raise ConfigurationError(message) from error
    if not isinstance(content, dict):
        message = f"{file.name} holds a {type(content).__name__} where a JSON object belongs."
        raise ConfigurationError(message)
    return content


def _decode(value: Any) -> Any:
    try:
        return json.loads(value)
    except (TypeError, ValueError):
        return value


def _channel(paths: Paths, name: str, options: dict[str, Any]) -> Channel:
    mode = options.get("TrainingInputMode", "File")
    if mode == "Pipe":
        message = f"Channel {name!r} uses the input mode Pipe; this container reads folders: use File or FastFile."
        raise ConfigurationError(message)
    return Channel(name, paths.data / name, sharded=options.get("S3DistributionType") == "ShardedByS3Key")
