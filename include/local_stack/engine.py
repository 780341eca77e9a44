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
from urllib.parse import urlsplit

from local_aws.engine_docker import DEFAULT_ENGINE, silence
from local_stack.errors import StackError
from local_stack.home import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["PROCESS", "REGISTRY_IMAGE", "EngineChoice", "EngineWish", "choose_engine", "docker_command"]

REGISTRY_IMAGE = "registry:2"
PULL_SECONDS = 600
PULL_SECONDS_UNASKED = 60
"""How long a pull may take when nobody asked for Docker and processes would do as well."""
BASE_IMAGE = "BASE_IMAGE"
ADVICE = ("Run 'docker", "See 'docker", "Usage:")


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
        return without_docker(PROCESS, wish, say)
    missing = next(missing_parts(wish, say), None)
    if missing and wish.name == "docker":
        raise StackError(f"ENGINE=docker, but {missing}; ENGINE=process needs none of it")
    if missing:
        return without_docker(EngineChoice("process", missing), wish, say)
    program = shutil.which("docker-registry")
    reason = f"{engine_address()}, registry {program or wish.registry_image}"
    return EngineChoice("docker", reason, program, wish.registry_image, wish.build_options)


def without_docker(choice: EngineChoice, wish: EngineWish, say: Callable[[str], None]) -> EngineChoice:
    """Say which of the wishes have no meaning without Docker, and return the choice."""
    if wish.build_options:
        say("        DOCKER_BUILD_OPTIONS has no effect on processes")
    return choice


def missing_parts(wish: EngineWish, say: Callable[[str], None]) -> Iterator[str]:
    """Yield what is missing for Docker, the first thing first; what comes after it is looked at only when asked for."""
    if shutil.which("docker") is None:
        yield "there is no docker command on PATH"
    if is_elsewhere(engine_address()):
        yield (
            f"the Docker engine at {engine_address()} is on another machine, and the registry and the folders of "
            "/opt/ml are on this one"
        )
    reason = silence()
    if reason is not None:
        yield reason
    seconds = PULL_SECONDS if wish.name == "docker" else PULL_SECONDS_UNASKED
    if shutil.which("docker-registry") is None:
        yield from missing_image(wish.registry_image, "REGISTRY_IMAGE", say, seconds)
    words = option_words(wish.build_options)
    base = base_image(words)
    if base:
        yield from missing_image(base, "DOCKER_BUILD_OPTIONS='--build-arg BASE_IMAGE=…'", say, seconds)
    if words:
        yield from wrong_options(words)


def is_elsewhere(address: str) -> bool:
    """Tell whether an engine is on another machine: reached by ssh, or by TCP at an address that is not loopback."""
    parts = urlsplit(address)
    if parts.scheme in {"unix", "npipe", "fd"}:
        return False
    host = parts.hostname or ""
    return parts.scheme == "ssh" or not (host in {"localhost", "::1"} or host.startswith("127."))


def missing_image(image: str, remedy: str, say: Callable[[str], None], seconds: int) -> Iterator[str]:
    """Yield why the engine cannot have an image; nothing when it has it now.

    :param seconds: how long a pull may take
    """
    if docker("image", "inspect", image).returncode == 0:
        return
    say(f"        pulling {image}")
    pulled = docker("pull", image, seconds=seconds)
    if pulled.returncode:
        yield f"{image} cannot be pulled ({last_words(pulled)}): name another with {remedy}"


def wrong_options(words: Sequence[str]) -> Iterator[str]:
    """Yield why Docker takes no such options; tried on an image of nothing, which is removed."""
    # Docker makes no image of FROM alone.
    built = docker("build", *words, "--quiet", "--force-rm", "-", text="FROM scratch\nLABEL made-for=a-trial\n")
    if built.returncode:
        yield f"Docker does not take DOCKER_BUILD_OPTIONS={shlex.join(words)!r} ({last_words(built)})"
    else:
        docker("image", "rm", *built.stdout.split()[-1:])


def docker_command(*arguments: str) -> list[str]:
    """Return the words of a docker command for the engine that the local AWS uses, whatever context is the user's."""
    return ["docker", "--host", engine_address(), *arguments]


def docker(*arguments: str, seconds: int = PULL_SECONDS, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a docker command with this input and return how it ended."""
    command = docker_command(*arguments)
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds, input=text)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"no end after {seconds} s")


def last_words(ended: subprocess.CompletedProcess[str]) -> str:
    """Return the last line of a command's complaint, without the advice after it."""
    lines = [line.strip() for line in ended.stderr.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(ADVICE)] or ["it says nothing"]
    return said[-1]


def option_words(build_options: str) -> list[str]:
    """Return the words of options, as a shell reads them."""
    try:
        return shlex.split(build_options)
    except ValueError as error:
        message = f"DOCKER_BUILD_OPTIONS is {build_options!r}: {error}; quote it as for a shell"
        raise StackError(message) from error


def base_image(words: Sequence[str]) -> str | None:
    """Return the image on which the project's own is built; None when its Dockerfile does not name it in our way."""
    dockerfile = (CHECKOUT / "container" / "Dockerfile").read_text()
    named: list[str] = re.findall(rf"^ARG\s+{BASE_IMAGE}=(\S+)", dockerfile, re.MULTILINE)
    named += re.findall(rf"(?:^|\s|=){BASE_IMAGE}=(\S+)", " ".join(words))
    return named[-1] if named else None


def engine_address() -> str:
    """Return where the Docker engine is looked for."""
    return os.environ.get("DOCKER_HOST") or DEFAULT_ENGINE
