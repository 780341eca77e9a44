"""The stack's registry, ECR's data plane: a program of this machine, or a container.

Owns how it is started, where it listens and where it keeps its content. Must not know what is in it.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from typing import TYPE_CHECKING

import httpx

from local_aws.registry.configuration import registry_configuration
from local_stack.engine import docker_command
from local_stack.errors import StackError
from local_stack.port import LOOPBACK, free_port

if TYPE_CHECKING:
    from pathlib import Path

    from local_stack.engine import EngineChoice
    from local_stack.home import Home

__all__ = ["RegistryPart"]

LABEL = "local-stack"


class RegistryPart:
    """The registry of one stack.

    It listens where it listened the last time if that port is free, so that images in the engine keep their names.
    """

    def __init__(self, home: Home, choice: EngineChoice) -> None:
        self._choice = choice
        self._root = home.registry
        self._storage = home.registry / "storage"
        self._key = hashlib.sha256(str(home.root.resolve()).encode()).hexdigest()[:12]
        self._storage.mkdir(parents=True, exist_ok=True)
        self._port = kept_port(home.registry / "port")
        self.address = f"{LOOPBACK}:{self._port}"

    def command(self) -> list[str]:
        """Return the command that runs it until it gets a SIGTERM."""
        if self._choice.registry_program is None:
            return self._container_command()
        file = self._root / f"{self._key}.json"
        file.write_text(registry_configuration(self.address, self._storage))
        return [self._choice.registry_program, "serve", str(file)]

    def answers(self) -> bool:
        """Tell whether it is up."""
        try:
            return httpx.get(f"http://{self.address}/v2/", trust_env=False, timeout=5).status_code == 200
        except httpx.HTTPError:
            return False

    def remove(self) -> None:
        """Remove its container, also one that an earlier life left; harmless when there is none."""
        if self._choice.registry_program is None:
            command = docker_command("rm", "--force", self._name)
            subprocess.run(command, capture_output=True, check=False, timeout=60)

    @property
    def _name(self) -> str:
        return f"{LABEL}-registry-{self._key}"

    def _container_command(self) -> list[str]:
        options = {
            "name": self._name,
            "label": f"{LABEL}={self._key}",
            # Files of root's could not be removed by whoever started the stack.
            "user": f"{os.geteuid()}:{os.getegid()}",
            "publish": f"{self.address}:5000",
            "volume": f"{self._storage}:/var/lib/registry",
        }
        # Source: "Configuring a registry" of distribution: each setting has a variable.
        settings = {"REGISTRY_HTTP_ADDR": "0.0.0.0:5000", "REGISTRY_STORAGE_DELETE_ENABLED": "true"}
        words = [f"--{name}={value}" for name, value in options.items()]
        words += [f"--env={name}={value}" for name, value in settings.items()]
        return docker_command("run", "--rm", *words, self._choice.registry_image)


def kept_port(file: Path) -> int:
    """Return the port in the file if it is free, or a new one, which is noted there."""
    try:
        return free_port(int(file.read_text()))
    except (OSError, ValueError, StackError):
        port = free_port()
    file.write_text(str(port))
    return port
