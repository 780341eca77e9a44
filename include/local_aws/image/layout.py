"""Carries out the instructions of a Dockerfile as far as a process can stand for a container.

Owns what each instruction does to the image's files, variables and command. ``RUN`` executes nothing: it
is read for the packages that pip installs and for ``chmod``; everything else is named and left out.
Must not know where images are kept.
"""

from __future__ import annotations

import json
import posixpath
import re
import shlex
import shutil
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from local_aws.image.dockerfile import DockerfileError, Instruction, expand, words
from local_aws.image.dockerignore import Dockerignore
from local_aws.image.environment import Requirements
from local_aws.image.pip_command import read_pip_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

    from local_aws.image.pip_command import Requirement

__all__ = ["BASE_PATH", "Layout", "copy_context", "lay_out"]

BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of Docker's base images."""

_NESTED = re.compile(r"(?:-r|--requirement)[ =]\s*(\S+)")
_RUN_OPTIONS = re.compile(r"(?:--\S+\s+)+")
_ENVIRONMENT = re.compile(r"(?:\S*/)?python[\d.]*\s+-m\s+venv\s.*|uv\s+venv\s.*", re.S)
"""Every image has a Python environment of its own anyway."""


@dataclass
class Layout:
    """An image in the making.

    :param context: what COPY may take: the build context without what ``.dockerignore`` leaves out
    :param root: directory that stands for the image's ``/``
    :param arguments: build arguments that were given
    :param stages: earlier stages of the Dockerfile by name and number, from which COPY may take
    """

    context: Path
    root: Path
    arguments: Mapping[str, str]
    report: Callable[[str], None]
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": BASE_PATH})
    working_dir: str = "/"
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)
    requirement_lines: list[str] = field(default_factory=list)
    stages: Mapping[str, Layout] = field(default_factory=dict)
    _arguments: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """What ``$NAME`` means at this point; ``ENV`` wins over ``ARG``."""
        return {**self._arguments, **self.environment}

    @property
    def requirements(self) -> Requirements:
        """What pip is to install, with the pip settings that the Dockerfile or its arguments make."""
        settings = {name: value for name, value in self.variables.items() if name.startswith("PIP_") and value}
        return Requirements(tuple(self.requirement_lines), settings)

    def place(self, path: str) -> Path:
        """Return where a path of the image, absolute or relative to WORKDIR, is on this machine."""
        absolute = posixpath.normpath(posixpath.join(self.working_dir, path))
        return self.root / absolute.lstrip("/")

    def declare(self, instruction: Instruction) -> None:
        """ARG: take the argument that was given, or the default."""
        for word in words(instruction):
            name, equals, default = word.partition("=")
            if name in self.arguments:
                self._arguments[name] = self.arguments[name]
            elif equals:
                self._arguments[name] = expand(default, self.variables)

    def set_variables(self, instruction: Instruction) -> None:
        """ENV: both ``NAME=value …`` and the old ``NAME value``."""
        parts = words(instruction)
        if parts and "=" not in parts[0]:
            name, _, value = instruction.text.partition(" ")
            parts = [f"{name}={value.strip()}"]
        before = self.variables
        for part in parts:
            name, _, value = part.partition("=")
            self.environment[name] = expand(value, before)

    def change_directory(self, instruction: Instruction) -> None:
        """WORKDIR: relative to the one before; made when it is missing."""
        self.working_dir = posixpath.normpath(posixpath.join(self.working_dir, self._text(instruction)))
        self.place(".").mkdir(parents=True, exist_ok=True)

    def copy(self, instruction: Instruction) -> None:
        """COPY and ADD of files of the context or of an earlier stage."""
        options, (*sources, target) = self._copied(instruction)
        stage = self._stage(options, instruction)
        into_directory = posixpath.basename(target) in {"", ".", ".."} or len(sources) > 1
        for source in sources:
            found = self._find(source, instruction) if stage is None else self._find_in_stage(stage, source)
            for origin in found:
                copies = self._copy(origin, self.place(target), into_directory=into_directory or len(found) > 1)
                if "--chmod" in options:
                    _set_mode(options["--chmod"], copies)

    def run(self, instruction: Instruction) -> None:
        """RUN: note what pip would install, set modes, and say what is left out."""
        text = (
            _RUN_OPTIONS.sub("", instruction.text, count=1) if instruction.text.startswith("--") else instruction.text
        )
        for part in re.split(r"&&|;|\n", expand(text, self.variables)):
            command = part.strip()
            requirements = read_pip_command(command)
            if requirements is not None:
                self._note(requirements)
            elif command.startswith("chmod "):
                self._set_modes(shlex.split(command)[1:])
            elif command and not _ENVIRONMENT.fullmatch(command):
                self.report(f" ---> Not run by the process engine: RUN {command}")

    def set_entrypoint(self, instruction: Instruction) -> None:
        """ENTRYPOINT; like Docker, it forgets a CMD of the base image."""
        self.entrypoint = self._exec_form(instruction)

    def set_command(self, instruction: Instruction) -> None:
        """CMD."""
        self.command = self._exec_form(instruction)

    def _text(self, instruction: Instruction) -> str:
        return expand(" ".join(words(instruction)), self.variables)

    def _exec_form(self, instruction: Instruction) -> list[str]:
        if instruction.text.startswith("["):
            try:
                return [str(word) for word in json.loads(instruction.text)]
            except ValueError:
                pass  # Docker, too, takes what is no JSON for the shell form.
        return ["/bin/sh", "-c", instruction.text]

    def _copied(self, instruction: Instruction) -> tuple[dict[str, str], list[str]]:
        """Return a COPY's options by name, and its sources with the target behind them."""
        parts = self._exec_form(instruction) if instruction.text.startswith("[") else words(instruction)
        options = dict(part.partition("=")[::2] for part in parts if part.startswith("--"))
        paths = [expand(part, self.variables) for part in parts if not part.startswith("--")]
        if len(paths) < 2:
            message = f"line {instruction.line} of the Dockerfile: {instruction.name} needs a source and a target"
            raise DockerfileError(message)
        if "://" in "".join(paths):
            message = self._impossible(instruction, "the process engine downloads nothing but Python packages")
            raise DockerfileError(message)
        return options, paths

    def _stage(self, options: Mapping[str, str], instruction: Instruction) -> Layout | None:
        """Return the stage that COPY takes from, None for the context; what pip installs there is installed here."""
        if "--from" not in options:
            return None
        name = expand(options["--from"], self.variables).lower()
        if name not in self.stages:
            message = self._impossible(
                instruction, f"{name} is no earlier stage, and of other images the process engine has nothing"
            )
            raise DockerfileError(message)
        stage = self.stages[name]
        self.requirement_lines += [line for line in stage.requirement_lines if line not in self.requirement_lines]
        return stage

    def _impossible(self, instruction: Instruction, reason: str) -> str:
        text = f"{instruction.name} {instruction.text}"
        return f"line {instruction.line} of the Dockerfile, {text}: {reason}; use the Docker engine for this image"

    def _find_in_stage(self, stage: Layout, source: str) -> list[Path]:
        """Return a stage's files; none when a RUN that is not run here would have made them."""
        relative = posixpath.normpath("/" + source).lstrip("/") or "."
        found = sorted(stage.root.glob(relative)) if relative != "." else [stage.root]
        if not found:
            self.report(f" ---> Not in the earlier stage, since its RUN is not run by the process engine: {source}")
        return found

    def _find(self, source: str, instruction: Instruction) -> list[Path]:
        relative = posixpath.normpath(source.lstrip("/") or ".")
        is_glob = any(character in relative for character in "*?[")
        found = sorted(self.context.glob(relative)) if is_glob else [self.context / relative]
        if relative.startswith("..") or not found or not all(path.exists() for path in found):
            message = (
                f"line {instruction.line} of the Dockerfile, {instruction.name} {instruction.text}: "
                f"{source} is not in the build context"
            )
            raise DockerfileError(message)
        return found

    def _copy(self, origin: Path, target: Path, *, into_directory: bool) -> list[Path]:
        """Copy a file, or what is in a directory; return the copies."""
        if not origin.is_dir():
            return [_copy_file(origin, target / origin.name if into_directory or target.is_dir() else target)]
        target.mkdir(parents=True, exist_ok=True)
        files = [file for file in origin.rglob("*") if not file.is_dir()]
        return [_copy_file(file, target / file.relative_to(origin)) for file in files]

    def _note(self, requirements: Iterable[Requirement]) -> None:
        for requirement in requirements:
            if requirement.is_file:
                self._note_file(requirement.text)
            else:
                self.requirement_lines.append(requirement.text)

    def _note_file(self, path: str) -> None:
        file = self.place(path)
        if not file.is_file():
            message = f"pip is to install from {path}, which is not in the image at that point; COPY it before"
            raise DockerfileError(message)
        for line in file.read_text(encoding="utf-8").splitlines():
            nested = _NESTED.fullmatch(line.strip())
            if nested:
                self._note_file(str(PurePosixPath(path).parent / nested[1]))
            else:
                self.requirement_lines.append(line)

    def _set_modes(self, options: Sequence[str]) -> None:
        mode, *paths = [option for option in options if not option.startswith("-")] or [""]
        for path in paths:
            place = self.place(path)
            _set_mode(mode, [file for file in self.root.glob(str(place.relative_to(self.root))) if file.is_file()])


def copy_context(context: Path, dockerfile: Path, target: Path) -> None:
    """Copy what a build may see of its context."""
    ignored = Dockerignore.of(context, dockerfile)
    target.mkdir(parents=True)
    for file in context.rglob("*"):
        relative = file.relative_to(context)
        if not file.is_dir() and not ignored.excludes(relative.as_posix()):
            _copy_file(file, target / relative)


def lay_out(layout: Layout, instructions: Iterable[Instruction]) -> None:
    """Carry out the instructions of one stage.

    :raises DockerfileError: when a file is missing or the process engine cannot stand for the image
    """
    actions: dict[str, Callable[[Instruction], None]] = {
        "ARG": layout.declare,
        "ENV": layout.set_variables,
        "WORKDIR": layout.change_directory,
        "COPY": layout.copy,
        "ADD": layout.copy,
        "RUN": layout.run,
        "ENTRYPOINT": layout.set_entrypoint,
        "CMD": layout.set_command,
    }
    for number, instruction in enumerate(instructions, start=1):
        layout.report(f"Step {number} : {instruction.name} {instruction.text}")
        if instruction.name in actions:
            actions[instruction.name](instruction)


def _set_mode(mode: str, files: Iterable[Path]) -> None:
    """Make files executable or not; more than that is not kept.

    :param mode: as ``chmod`` takes it, for example ``755`` or ``+x``
    """
    is_executable = "x" in mode or mode[-1:] in {"1", "3", "5", "7"}
    for file in files:
        file.chmod(0o755 if is_executable else 0o644)


def _copy_file(origin: Path, target: Path) -> Path:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(origin, target)
    return target
