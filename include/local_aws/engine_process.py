"""Runs containers as plain processes, for machines without a container engine.

Owns the mapping from an image and a launch to a program with its environment. There is no isolation: the program
sees this machine's files and network, and ``/opt/ml`` is moved by ``SAGEMAKER_BASE_DIR``. Must not know requests.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from local_aws.container import Container, ContainerError, Launch, cannot_start
from local_aws.image_lookup import look_up
from local_aws.port import Ports
from local_aws.process.container import Command, ProcessContainer
from local_aws.process.register import ProcessRegister

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.image_reference import ImageReference
    from local_aws.image_store import Image, ImageStore

__all__ = ["ProcessEngine"]

_SYSTEM_PATH = ("/usr/local/bin", "/usr/bin", "/bin")
_ML_ROOT = "/opt/ml"
_NOT_EXECUTABLE = frozenset({errno.ENOENT, errno.ENOEXEC})
"""A program that is there but has no such interpreter, or is none."""


class ProcessEngine:
    """The engine that needs nothing but Python.

    :param cloud: where ECR is, which says what images there are
    :param images: where their content is
    """

    name = "process"

    def __init__(self, cloud: Cloud, images: ImageStore) -> None:
        self._cloud = cloud
        self._images = images
        self._directory = cloud.state_dir / "containers"
        self._register = ProcessRegister(self._directory)
        self._ports = Ports()

    @property
    def network_interface(self) -> str:
        """The loopback interface."""
        return "lo0" if sys.platform == "darwin" else "lo"

    def resolve(self, image: str) -> str:
        """Return the image URI pinned by digest, as ECR knows it now.

        :raises ContainerError: when it is in another registry, ECR has no such image, or this engine did not build it
        """
        return self._find(image)[0].pinned

    def start(self, launch: Launch) -> Container:
        """Start the program that ``docker run`` would start.

        :raises ContainerError: when there is no such image or it has no such program
        """
        _, image = self._find(launch.image)
        home = self._directory / "home" / launch.name
        command = self._command(launch, image, home)

        def clear() -> None:
            self._ports.leave(launch.network)
            shutil.rmtree(home, ignore_errors=True)

        def forget(group: int) -> None:
            self._register.remove(group)
            clear()

        try:
            home.mkdir(parents=True, exist_ok=True)
            return self._execute(command, image, forget)
        except (OSError, ValueError) as error:
            # ValueError: a NUL in a word, "=" in the name of a variable.
            clear()
            reason = error.strerror if isinstance(error, OSError) else error
            raise cannot_start(launch, f"{command.words[0]}: {reason}") from error

    def _execute(self, command: Command, image: Image, forget: Callable[[int], None]) -> ProcessContainer:
        try:
            return ProcessContainer(command, self._register.add, forget, is_first=True)
        except OSError as error:
            if error.errno not in _NOT_EXECUTABLE:
                raise
            return ProcessContainer(_last_words(command, image, error), self._register.add, forget, is_first=True)

    def reap(self) -> None:
        """Kill what an earlier life of this state directory left running."""
        self._register.reap()

    def _find(self, image: str) -> tuple[ImageReference, Image]:
        reference = look_up(self._cloud, image)
        try:
            return reference, self._images.get(str(reference.digest))
        except KeyError as error:
            message = (
                f"ECR has {image}, but it was not built here; the process engine runs only what its own docker built"
            )
            raise ContainerError(message) from error

    def _command(self, launch: Launch, image: Image, home: Path) -> Command:
        environment = {**_basics(image, home), **launch.environment}
        environment = {name: _in_list(launch, value) for name, value in environment.items()}
        entrypoint = list(launch.entrypoint) or image.config.entrypoint
        words = [*entrypoint, *(launch.arguments or ([] if launch.entrypoint else image.config.command))]
        words = [_in_image(image, _in_ml(launch, word)) for word in words]
        program = shutil.which(words[0], path=environment["PATH"]) if words else None
        if program is None:
            name = words[0] if words else ""
            raise cannot_start(launch, f'exec: "{name}": executable file not found in $PATH')
        port = self._ports.free() if "serve" in launch.arguments else None
        environment |= self._placement(launch, port)
        working_dir = image.root / image.config.working_dir.lstrip("/")
        return Command([program, *words[1:]], working_dir, environment, port)

    def _placement(self, launch: Launch, port: int | None) -> dict[str, str]:
        """Return the variables that say where things are, since a process cannot be given a place of its own."""
        variables = {"SAGEMAKER_BASE_DIR": str(launch.ml_dir)}
        if port is not None:
            variables |= {"SAGEMAKER_BIND_TO_PORT": str(port), "SAGEMAKER_BIND_TO_ADDRESS": "127.0.0.1"}
        if launch.network is not None:
            # Host names such as algo-1 do not resolve without a network of containers.
            meeting_port = self._ports.join(launch.network)
            variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(meeting_port)}
        return variables


def _last_words(command: Command, image: Image, error: OSError) -> Command:
    """Return what stands for a container whose program the kernel refuses: a line in its log, and exit code 1.

    So it is with Docker 20.10, whose container has started by then; a program that is not there does not start at all.
    """
    program = command.words[0].removeprefix(str(image.root))
    line = f"exec {program}: {str(error.strerror).lower()}"
    return replace(command, words=["/bin/sh", "-c", 'printf "%s\\n" "$0"; exit 1', line])


def _basics(image: Image, home: Path) -> dict[str, str]:
    """Return the variables of the image, its paths translated to this machine."""
    environment = {name: _translate(image, value) for name, value in image.config.environment.items()}
    own = [entry for entry in environment["PATH"].split(os.pathsep) if entry.startswith(str(image.root))]
    return {
        "HOME": str(home),
        "LANG": "C.UTF-8",
        # The image's files are shared by all of its containers, so none may add to them.
        "PYTHONDONTWRITEBYTECODE": "1",
        **environment,
        "PATH": os.pathsep.join([*own, str(image.packages / "bin"), *_SYSTEM_PATH]),
    }


def _translate(image: Image, value: str) -> str:
    return os.pathsep.join(_in_image(image, part) for part in value.split(os.pathsep))


def _in_image(image: Image, word: str) -> str:
    """Return where an absolute path of the image is on this machine; other words stay as they are."""
    place = image.root / word.lstrip("/")
    return str(place) if word.startswith("/") and word.strip("/") and place.exists() else word


def _in_list(launch: Launch, value: str) -> str:
    return os.pathsep.join(_in_ml(launch, part) for part in value.split(os.pathsep))


def _in_ml(launch: Launch, word: str) -> str:
    """Return where a path below ``/opt/ml`` is on this machine; other words stay as they are."""
    is_below = word == _ML_ROOT or word.startswith(f"{_ML_ROOT}/")
    return f"{launch.ml_dir}{word.removeprefix(_ML_ROOT)}" if is_below else word
