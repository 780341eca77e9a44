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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path

__all__ = ["BASE_PATH", "Layout", "copy_context", "lay_out"]

BASE_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""PATH of Docker's base images."""

_PIP = re.compile(
    r"(?:(?:\S*/)?python[\d.]*\s+-m\s+pip[\d.]*|(?:\S*/)?pip[\d.]*|uv\s+pip)\s+(?:--?\S+\s+)*install\s+(.*)", re.S
)
_NESTED = re.compile(r"(?:-r|--requirement)[ =]\s*(\S+)")
_PIP_OPTIONS_WITH_VALUE = re.compile(
    r"-[cfit]|--(?:index-url|extra-index-url|find-links|target|timeout|retries|cache-dir|progress-bar|constraint|"
    r"trusted-host|prefix|root|platform|python-version|log)"
)


@dataclass
class Layout:
    """An image in the making.

    :param context: what COPY may take: the build context without what ``.dockerignore`` leaves out
    :param root: directory that stands for the image's ``/``
    :param arguments: build arguments that were given
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
        """COPY and ADD of files of the context."""
        *sources, target = self._copied(instruction)
        into_directory = posixpath.basename(target) in {"", ".", ".."} or len(sources) > 1
        for source in sources:
            found = self._find(source, instruction)
            for origin in found:
                self._copy(origin, self.place(target), into_directory=into_directory or len(found) > 1)

    def run(self, instruction: Instruction) -> None:
        """RUN: note what pip would install, set modes, and say what is left out."""
        for part in re.split(r"&&|;|\n", expand(instruction.text, self.variables)):
            command = part.strip()
            pip = _PIP.fullmatch(command)
            if pip:
                self._note_packages(shlex.split(pip[1]))
            elif command.startswith("chmod "):
                self._set_modes(shlex.split(command)[1:])
            elif command:
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

    def _copied(self, instruction: Instruction) -> list[str]:
        parts = self._exec_form(instruction) if instruction.text.startswith("[") else words(instruction)
        options = [part for part in parts if part.startswith("--")]
        if any(option.startswith("--from") for option in options):
            message = (
                f"line {instruction.line} of the Dockerfile, {instruction.name} {instruction.text}: the process engine "
                "runs no build stage, so there is nothing to copy from one; use the Docker engine for this image"
            )
            raise DockerfileError(message)
        paths = [expand(part, self.variables) for part in parts if not part.startswith("--")]
        if len(paths) < 2:
            message = f"line {instruction.line} of the Dockerfile: {instruction.name} needs a source and a target"
            raise DockerfileError(message)
        return paths

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

    def _copy(self, origin: Path, target: Path, *, into_directory: bool) -> None:
        if origin.is_dir():
            for file in origin.rglob("*"):
                if not file.is_dir():
                    _copy_file(file, target / file.relative_to(origin))
            target.mkdir(parents=True, exist_ok=True)
        else:
            _copy_file(origin, target / origin.name if into_directory or target.is_dir() else target)

    def _note_packages(self, options: Sequence[str]) -> None:
        rest = iter(options)
        for word in rest:
            if word in {"-r", "--requirement"}:
                self._note_file(next(rest, ""))
            elif word.startswith("--requirement="):
                self._note_file(word.partition("=")[2])
            elif _PIP_OPTIONS_WITH_VALUE.fullmatch(word):
                next(rest, None)
            elif not word.startswith("-"):
                self.requirement_lines.append(word)

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
        plain = [option for option in options if not option.startswith("-")]
        executable = plain[:1] and ("x" in plain[0] or plain[0][-1:] in {"1", "3", "5", "7"})
        for path in plain[1:]:
            place = self.place(path)
            for file in self.root.glob(str(place.relative_to(self.root))):
                if file.is_file():
                    file.chmod(0o755 if executable else 0o644)


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


def _copy_file(origin: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(origin, target)
