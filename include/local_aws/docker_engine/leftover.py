"""What a local AWS left in a Docker engine, found by its label.

Owns the label and the removal. Run as a program with a label's value, it waits for the end of its standard input,
which comes even when the local AWS is killed, and then removes what is left. Must not know images or launches.
"""

from __future__ import annotations

import hashlib
import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import docker

from local_aws.docker_engine.container import ENGINE_ERRORS, remove_container
from local_aws.docker_engine.file_owner import give_files, owner_of_files
from local_aws.docker_engine.launch import ML_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["LABEL", "Watchdog", "label_of", "remove_leftovers"]

LABEL = "local-aws"

_PROGRAM = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from local_aws.docker_engine.leftover import main; main()"
)
"""Looks for packages where its parent found them, and nowhere else."""

_logger = logging.getLogger(__name__)


def label_of(state_dir: Path) -> str:
    """Return the label's value for a state directory, the same in each of its lives."""
    return hashlib.sha256(str(state_dir.resolve()).encode()).hexdigest()[:12]


def remove_leftovers(api: Any, label: str) -> None:
    """Remove every container and network with this label; an engine that does not answer is told in the log.

    What root wrote in the containers goes to whoever runs this, who could not remove it otherwise.
    """
    selection = {"label": f"{LABEL}={label}"}
    try:
        for container in api.containers(all=True, filters=selection):
            remove_container(api, container["Id"])
            _take_over_files(api, container, {LABEL: label})
        for network in api.networks(filters=selection):
            api.remove_network(network["Id"])
    except ENGINE_ERRORS as error:
        _logger.warning("What is left in the Docker engine cannot be removed: %s", error)


def _take_over_files(api: Any, container: Mapping[str, Any], labels: Mapping[str, str]) -> None:
    owner = owner_of_files()
    directories = [mount["Source"] for mount in container["Mounts"] if mount["Destination"] == ML_ROOT]
    if owner is not None:
        for directory in directories:
            give_files(api, container["ImageID"], directory, owner, labels)


class Watchdog:
    """A process that removes what this one leaves in the engine, however this one ends."""

    def __init__(self, label: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-c", _PROGRAM, json.dumps(sys.path), label],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """Let it do its work now, and wait for that."""
        self._process.communicate()


def main() -> None:
    """Wait for the end of the standard input, then remove what carries the label that the second argument names."""
    sys.stdin.read()
    remove_leftovers(docker.from_env().api, sys.argv[2])
