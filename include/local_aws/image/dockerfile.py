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
    from collections.abc import Mapping

__all__ = ["DockerfileError", "Instruction", "expand", "read_instructions", "words"]

_CARRIED_OUT = frozenset({"ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "WORKDIR"})
_WITHOUT_EFFECT = frozenset(
    {"EXPOSE", "HEALTHCHECK", "LABEL", "MAINTAINER", "ONBUILD", "SHELL", "STOPSIGNAL", "USER", "VOLUME"}
)
_KNOWN = _CARRIED_OUT | _WITHOUT_EFFECT
_VARIABLE = re.compile(
    r"\\(?P<escaped>\$)|\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?:(?P<operator>:?[-+])(?P<word>[^{}]*))?\})"
)
_STAGE = re.compile(r"\S+(?:\s+AS\s+(?P<name>\S+))?", re.IGNORECASE)


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


def read_instructions(text: str, target: str | None = None) -> list[Instruction]:
    """Return the instructions of one stage, together with the ``ARG`` lines that stand before the first ``FROM``.

    :param target: name of the stage; the last one otherwise
    :raises DockerfileError: for an unknown instruction, a here-document, no ``FROM`` or no such stage
    """
    before: list[Instruction] = []
    stages: list[list[Instruction]] = []
    for instruction in map(_read_instruction, _logical_lines(text)):
        if instruction.name == "FROM":
            stages.append([instruction])
        else:
            (stages[-1] if stages else before).append(instruction)
    if not stages:
        message = "the Dockerfile has no FROM: it must name a base image"
        raise DockerfileError(message)
    return before + _choose_stage(stages, target)


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


def _choose_stage(stages: list[list[Instruction]], target: str | None) -> list[Instruction]:
    if target is None:
        return stages[-1]
    names = []
    for stage in stages:
        match = _STAGE.search(stage[0].text.split("--platform=")[-1])
        names.append(match["name"] if match else None)
        if names[-1] and names[-1].lower() == target.lower():
            return stage
    message = f"target stage {target!r} is not in the Dockerfile; it has {[name for name in names if name]}"
    raise DockerfileError(message)
