"""Which engine runs the containers of a stack, and why.

Owns the question what this machine has. Starts nothing; all it may change is that the Docker engine has pulled an image
which the run needs anyway.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.engine_docker import answers
from local_stack.errors import StackError
from local_stack.home import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["PROCESS", "REGISTRY_IMAGE", "EngineChoice", "EngineWish", "choose_engine", "docker_command"]

REGISTRY_IMAGE = "registry:2"
PULL_SECONDS = 600
BASE_IMAGE = "BASE_IMAGE"


@dataclass(frozen=True)
class EngineWish:
    """What the person at the terminal says.

    :param name: ``docker``, ``process``, or nothing for the better one of what is there
    :param registry_image: image of a registry, for machines without the program ``docker-registry``
    :param build_options: shell words for every ``docker build``
    """

    name: str | None = None
    registry_image: str = REGISTRY_IMAGE
    build_options: str = ""


@dataclass(frozen=True)
class EngineChoice:
    """The engine that runs.

    :param name: ``docker`` or ``process``
    :param reason: why this one, in a few words
    :param registry_program: path of ``docker-registry``; None to run an image
    """

    name: str
    reason: str
    registry_program: str | None = None
    registry_image: str = REGISTRY_IMAGE
    build_options: str = ""


PROCESS = EngineChoice("process", "asked for")


def choose_engine(wish: EngineWish, say: Callable[[str], None] = print) -> EngineChoice:
    """Return Docker when this machine has all that it needs, and processes otherwise.

    :param say: told of what takes long
    :raises StackError: what is wanted is no engine, or Docker is wanted and something is missing
    """
    if wish.name not in {None, "", "docker", "process"}:
        raise StackError(f"ENGINE is {wish.name!r}: give docker or process, or leave it out")
    if wish.name == "process":
        return PROCESS
    missing = next(missing_parts(wish, say), None)
    if missing and wish.name == "docker":
        raise StackError(f"ENGINE=docker, but {missing}; ENGINE=process needs none of it")
    if missing:
        return EngineChoice("process", missing)
    program = shutil.which("docker-registry")
    reason = f"{engine_address()}, registry {program or wish.registry_image}"
    return EngineChoice("docker", reason, program, wish.registry_image, wish.build_options)


def missing_parts(wish: EngineWish, say: Callable[[str], None]) -> Iterator[str]:
    """Yield what is missing for Docker, the first thing first; what comes after it is looked at only when asked for."""
    if shutil.which("docker") is None:
        yield "there is no docker command on PATH"
    if not answers():
        yield f"no Docker engine answers at {engine_address()}"
    if shutil.which("docker-registry") is None:
        yield from missing_image(wish.registry_image, "REGISTRY_IMAGE", say)
    base = base_image(wish.build_options)
    if base:
        yield from missing_image(base, "DOCKER_BUILD_OPTIONS='--build-arg BASE_IMAGE=…'", say)


def missing_image(image: str, remedy: str, say: Callable[[str], None]) -> Iterator[str]:
    """Yield why the engine cannot have an image; nothing when it has it now."""
    if docker("image", "inspect", image).returncode == 0:
        return
    say(f"        pulling {image}")
    pulled = docker("pull", image)
    if pulled.returncode:
        last = (pulled.stderr.strip().splitlines() or ["it says nothing"])[-1]
        yield f"{image} cannot be pulled ({last}): name another with {remedy}"


def docker_command(*arguments: str) -> list[str]:
    """Return the words of a docker command for the engine that the local AWS uses, whatever context is the user's."""
    return ["docker", "--host", engine_address(), *arguments]


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a docker command and return how it ended."""
    command = docker_command(*arguments)
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=PULL_SECONDS)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no end after {PULL_SECONDS} s")


def base_image(build_options: str) -> str | None:
    """Return the image on which the project's own is built; None when its Dockerfile does not name it in our way."""
    dockerfile = (CHECKOUT / "container" / "Dockerfile").read_text()
    named: list[str] = re.findall(rf"^ARG\s+{BASE_IMAGE}=(\S+)", dockerfile, re.MULTILINE)
    try:
        words = shlex.split(build_options)
    except ValueError as error:
        message = f"DOCKER_BUILD_OPTIONS is {build_options!r}: {error}; quote it as for a shell"
        raise StackError(message) from error
    named += re.findall(rf"(?:^|\s|=){BASE_IMAGE}=(\S+)", " ".join(words))
    return named[-1] if named else None


def engine_address() -> str:
    """Return where the Docker engine is looked for."""
    return os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
