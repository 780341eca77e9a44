"""The images that a Dockerfile names.

Owns where they stand in the text, which of them a build needs, and how one is pinned. Knows of the other instructions
no more than that requires. Makes no call.
Source: https://docs.docker.com/reference/dockerfile/
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["NamedImage", "named_images", "pinned", "unread_images"]

_FROM_LINE = re.compile(r"\s*FROM\s", re.IGNORECASE)
_FROM = re.compile(
    r"\s*FROM(?:\s+--\S+)*\s+[\"']?(?P<image>[^\s\"']+)[\"']?(?:\s+AS\s+(?P<stage>\S+))?\s*", re.IGNORECASE
)
_COPY = re.compile(r"\s*(?:COPY|ADD)(?:\s+--\S+)*?\s+--from=(?P<image>\S+)", re.IGNORECASE)
_MOUNT = re.compile(r"--mount=(?:[^\s,]+,)*from=(?P<image>[^\s,]+)", re.IGNORECASE)
_RUN = re.compile(r"\s*RUN\s", re.IGNORECASE)
_ARG = re.compile(r"\s*ARG\s+(?P<pairs>.*)", re.IGNORECASE | re.DOTALL)
_PAIR = re.compile(r"""(?P<name>\w+)(?:=(?P<value>"[^"]*"|'[^']*'|\S*))?""")
_VARIABLE = re.compile(r"\$(?:(?P<plain>\w+)|\{(?P<name>\w+)(?::?(?P<operator>[-+])(?P<word>[^{}]*))?\})")
_ESCAPE = re.compile(r"#\s*escape\s*=\s*(?P<character>\S)\s*", re.IGNORECASE)
_DIRECTIVE = re.compile(r"#\s*\w+\s*=.*")
_HEREDOC = re.compile(r"(?:^|\s)\d*<<-?[\"']?(?P<word>[A-Za-z_]\w*)[\"']?(?=\s|$)")
_TAKES_HEREDOC = re.compile(r"\s*(?:RUN|COPY|ADD)\s", re.IGNORECASE)
_BUILDERS_OWN = frozenset(
    f"{side}{part}" for side in ("BUILD", "TARGET") for part in ("PLATFORM", "OS", "ARCH", "VARIANT")
)
"""Variables that BuildKit sets by itself, from the platform."""


@dataclass(frozen=True)
class NamedImage:
    """An image that the build takes from a registry, or from the engine.

    :param name: as the builder reads it, with variables put in
    :param start: where it stands in the Dockerfile, in characters
    :param needed: whether the stage that is asked for is built from it
    """

    name: str
    start: int
    end: int
    needed: bool = True

    @property
    def is_pinned(self) -> bool:
        """Say whether the name holds a digest."""
        return "@" in self.name


@dataclass
class _Stage:
    """One stage: what stands in it, and the earlier stages that it takes from."""

    name: str
    images: list[NamedImage] = field(default_factory=list)
    parents: set[int] = field(default_factory=set)
    unread: str = ""


@dataclass(frozen=True)
class _Instruction:
    """An instruction on one line, as the builder puts it together.

    :param places: where each of its characters stands in the text
    """

    line: str
    places: Sequence[int]

    def image(self, found: re.Match[str], name: str) -> NamedImage:
        """Return the image that a match names."""
        start, end = found.span("image")
        return NamedImage(name, self.places[start], self.places[end - 1] + 1)


def named_images(text: str, build_args: Mapping[str, str], target: str | None = None) -> list[NamedImage]:
    """List the images in the order of the text; ``scratch`` and names of stages are none.

    A name that cannot be read is left out, see ``unread_images``.

    :param target: the stage to stop at; stages after it are left out
    """
    stages = list(_stages(text, build_args))
    last = _last(stages, target)
    needed = _needed(stages, last)
    return [
        NamedImage(image.name, image.start, image.end, position in needed)
        for position, stage in enumerate(stages[: last + 1])
        for image in stage.images
    ]


def unread_images(text: str, build_args: Mapping[str, str], target: str | None = None) -> list[str]:
    """List the ``FROM`` lines, of those that the target needs, whose image only the builder can tell.

    They hold a variable that the builder sets by itself (``TARGETARCH``, say), or a form of substitution that is not
    known here, or they are no ``FROM`` at all as far as is known here.
    """
    stages = list(_stages(text, build_args))
    return [stages[at].unread for at in sorted(_needed(stages, _last(stages, target))) if stages[at].unread]


def _needed(stages: Sequence[_Stage], last: int) -> set[int]:
    """Return the positions of the stages that the last one is made from, and its own."""
    needed: set[int] = set()
    waiting = {last} if stages else set()
    while waiting:
        stage = waiting.pop()
        needed.add(stage)
        waiting |= stages[stage].parents - needed
    return needed


def pinned(text: str, build_args: Mapping[str, str], references: Mapping[str, str]) -> str:
    """Return the Dockerfile with other references in place of the names of images.

    :param references: what to write, by name
    """
    for image in reversed(named_images(text, build_args)):
        if image.name in references:
            text = text[: image.start] + references[image.name] + text[image.end :]
    return text


def _last(stages: list[_Stage], target: str | None) -> int:
    """Find the stage to stop at; a target that is none is for the builder to refuse."""
    names = [stage.name for stage in stages]
    wanted = (target or "").lower()
    if wanted and wanted in names:
        return names.index(wanted)
    return int(wanted) if wanted.isdecimal() and int(wanted) < len(stages) else len(stages) - 1


def _stages(text: str, build_args: Mapping[str, str]) -> Iterator[_Stage]:
    variables: dict[str, str | None] = {}
    stages: list[_Stage] = []
    for instruction in _instructions(text):
        line = instruction.line
        if _FROM_LINE.match(line):
            _begin(stages, instruction, variables)
        elif not stages and (found := _ARG.match(line)):
            _declare(variables, found["pairs"], build_args)
        elif stages:
            for found in _taken_from(line):
                # Only FROM knows variables.
                _take(stages, instruction, found, None if "$" in found["image"] else found["image"])
    yield from stages


def _begin(stages: list[_Stage], instruction: _Instruction, variables: Mapping[str, str | None]) -> None:
    """Begin a stage, also one whose line cannot be read."""
    found = _FROM.fullmatch(instruction.line)
    name = _expanded(found["image"], variables) if found else None
    unread = " ".join(instruction.line.split()) if name is None else ""
    stages.append(_Stage(((found and found["stage"]) or "").lower(), unread=unread))
    if found:
        _take(stages, instruction, found, name)


def _taken_from(line: str) -> Iterator[re.Match[str]]:
    if found := _COPY.match(line):
        yield found
    if _RUN.match(line):
        yield from _MOUNT.finditer(line)


def _take(stages: list[_Stage], instruction: _Instruction, found: re.Match[str], name: str | None) -> None:
    """Note an image, or the earlier stage that the name means."""
    stage, earlier = stages[-1], [each.name for each in stages[:-1]]
    if not name or name.lower() == "scratch":
        return
    if name.lower() in earlier:
        stage.parents.add(len(earlier) - 1 - earlier[::-1].index(name.lower()))
    elif name.isdecimal() and int(name) < len(earlier):
        stage.parents.add(int(name))
    else:
        stage.images.append(instruction.image(found, name))


def _declare(variables: dict[str, str | None], pairs: str, build_args: Mapping[str, str]) -> None:
    """Read ``ARG`` before the first ``FROM``; a value that cannot be expanded is None."""
    for pair in _PAIR.finditer(pairs):
        name = pair["name"]
        if name in build_args:
            variables[name] = build_args[name]
        elif pair["value"] is not None:
            variables[name] = _expanded(pair["value"].strip("\"'"), variables)


def _expanded(text: str, variables: Mapping[str, str | None]) -> str | None:
    """Put in the values, nothing for a name without one; None when only the builder can tell."""
    unknown = "$" in _VARIABLE.sub("", text)

    def value(match: re.Match[str]) -> str:
        nonlocal unknown
        name = match["plain"] or match["name"]
        known = variables.get(name, "")
        unknown = unknown or known is None
        if match["operator"] == "+":
            return match["word"] if known else ""
        unknown = unknown or (not known and name in _BUILDERS_OWN)
        return known or match["word"] or ""

    expanded = _VARIABLE.sub(value, text)
    return None if unknown else expanded


def _instructions(text: str) -> Iterator[_Instruction]:
    """Yield each instruction; a line that is continued goes on with the first character of the next one."""
    # A byte order mark is none of the text; a space keeps all places.
    lines = text.replace("\ufeff", " ", 1).split("\n") if text.startswith("\ufeff") else text.split("\n")
    escape = _escape(lines)
    joined, places, position = "", list[int](), 0
    closing: list[str] = []
    for line in lines:
        begins, position = position, position + len(line) + 1
        body = line.strip()
        if closing:
            closing = closing[body == closing[0] :]
        elif joined or (body and not body.startswith("#")):
            goes_on = not body or body.startswith("#") or body.endswith(escape)
            piece = _piece(line, escape)
            joined += piece
            places += range(begins, begins + len(piece))
            if not goes_on:
                yield _Instruction(joined, places)
                closing = _closing(joined)
                joined, places = "", []
    if joined:
        yield _Instruction(joined, places)


def _piece(line: str, escape: str) -> str:
    """Return what a line adds to its instruction; comments and empty lines in between add nothing."""
    body = line.strip()
    return "" if not body or body.startswith("#") else line.rstrip().removesuffix(escape)


def _closing(instruction: str) -> list[str]:
    """Return the words that end the here-documents, whose lines are no instructions."""
    if not _TAKES_HEREDOC.match(instruction):
        return []
    return [found["word"] for found in _HEREDOC.finditer(instruction)]


def _escape(lines: list[str]) -> str:
    """Return what continues a line: directives stand before everything else."""
    for line in lines:
        if found := _ESCAPE.fullmatch(line.strip()):
            return found["character"]
        if not _DIRECTIVE.fullmatch(line.strip()):
            break
    return "\\"
