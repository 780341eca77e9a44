"""Reads the instructions of a Dockerfile.

Owns the syntax: comments, continued lines, stages, variables. Must not know what an instruction does to an image.
Source: Docker's Dockerfile reference.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["DockerfileError", "Instruction", "Stage", "expand", "read_stages", "words"]

_CARRIED_OUT = frozenset({"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "WORKDIR"})
_WITHOUT_EFFECT = frozenset(
    {"EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "SHELL", "STOPSIGNAL", "USER", "VOLUME"}
)
_KNOWN = _CARRIED_OUT | _WITHOUT_EFFECT
_VARIABLE = re.compile(
    r"\\(?P<escaped>\$)|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<operator>:?[-+])(?P<word>[^{}]*))?\})"
)
_FROM = re.compile(r"(?:--platform=\S+\s+)?(?P<base>\S+)(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)


class DockerfileError(Exception):
    """The Dockerfile cannot be read, or asks for what the process engine cannot do."""


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    :param name: in upper case, for example ``COPY``
    :param text: everything after the name, continued lines joined
    :param line: where it starts, counted from 1
    """

    name: str
    text: str
    line: int


@dataclass(frozen=True)
class Stage:
    """One ``FROM`` and what follows it.

    :param names: by which later stages call it, in lower case: its number from 0 and, if it has one, its name
    :param base: image or earlier stage that it begins with; variables are not put in yet
    :param instructions: the ``ARG`` lines before the first ``FROM``, then its own, ``FROM`` included
    """

    names: Sequence[str]
    base: str
    instructions: Sequence[Instruction]


def read_stages(text: str, target: str | None = None) -> list[Stage]:
    """Return the stages up to the wanted one, which comes last.

    :param target: name or number of the wanted stage; the last one otherwise
    :raises DockerfileError: for an unknown instruction, a here-document, no ``FROM`` or no such stage
    """
    before: list[Instruction] = []
    groups: list[list[Instruction]] = []
    for instruction in map(_read_instruction, _logical_lines(text)):
        if instruction.name == "FROM":
            groups.append([instruction])
        else:
            (groups[-1] if groups else before).append(instruction)
    if not groups:
        message = "the Dockerfile has no FROM: it must name a base image"
        raise DockerfileError(message)
    return _until([_read_stage(number, before, group) for number, group in enumerate(groups)], target)


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Put in the values of ``$NAME``, ``${NAME:-default}`` and ``${NAME:+value}``; unknown names vanish."""

    def value(match: re.Match[str]) -> str:
        if match["escaped"]:
            return "$"
        found = variables.get(match["plain"] or match["name"], "")
        operator = (match["operator"] or "")[-1:]
        if operator == "-":
            return found or match["word"]
        if operator == "+":
            return match["word"] if found else ""
        return found

    return _VARIABLE.sub(value, text)


def words(instruction: Instruction) -> list[str]:
    """Split an instruction's text as a shell does.

    :raises DockerfileError: for a quote that is never closed
    """
    try:
        return shlex.split(instruction.text)
    except ValueError as error:
        message = f"line {instruction.line} of the Dockerfile, {instruction.name} {instruction.text}: {error}"
        raise DockerfileError(message) from error


def _logical_lines(text: str) -> list[tuple[int, str]]:
    lines: list[tuple[int, str]] = []
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("#") or (not pending and not line.strip()):
            continue
        start = start if pending else number
        if line.rstrip().endswith("\\"):
            pending += line.rstrip()[:-1] + " "
            continue
        lines.append((start, (pending + line).strip()))
        pending = ""
    if pending.strip():
        lines.append((start, pending.strip()))
    return lines


def _read_instruction(numbered: tuple[int, str]) -> Instruction:
    number, line = numbered
    name, _, text = line.partition(" ")
    name = name.upper()
    if name not in _KNOWN:
        message = f"line {number} of the Dockerfile: unknown instruction {name}; known are {', '.join(sorted(_KNOWN))}"
        raise DockerfileError(message)
    if name in {"ADD", "COPY", "RUN"} and re.search(r"<<-?[\"']?\w", text):
        message = f"line {number} of the Dockerfile: here-documents are not supported here; write the text to a file"
        raise DockerfileError(message)
    return Instruction(name, text.strip(), number)


def _read_stage(number: int, before: Sequence[Instruction], group: Sequence[Instruction]) -> Stage:
    match = _FROM.fullmatch(group[0].text)
    if match is None:
        message = f"line {group[0].line} of the Dockerfile: FROM {group[0].text}; expected FROM image [AS name]"
        raise DockerfileError(message)
    names = [str(number), *([match["name"].lower()] if match["name"] else [])]
    return Stage(names, match["base"], [*before, *group])


def _until(stages: list[Stage], target: str | None) -> list[Stage]:
    if target is None:
        return stages
    for position, stage in enumerate(stages, start=1):
        if target.lower() in stage.names:
            return stages[:position]
    known = [name for stage in stages for name in stage.names[1:]]
    message = f"target stage {target!r} is not in the Dockerfile; it has {known}"
    raise DockerfileError(message)
