"""Which files of a build context Docker would leave out.

Owns the rules of ``.dockerignore``, which differ from git's: every pattern is anchored at the root of the context,
the last pattern that matches decides, and ``!`` brings a file back even out of a folder that is left out.
``pathspec``, which Airflow brings along, follows git and is therefore not used. Knows nothing of files on disk.

Source of the rules: https://docs.docker.com/build/concepts/context/#dockerignore-files and the behaviour of
``moby/patternmatcher``, which the page describes.
"""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass

from sagemaker_byoc.errors import BuildContextError

__all__ = ["Dockerignore"]

_METACHARACTERS = frozenset(".+()|{}$^")


@dataclass(frozen=True)
class _Rule:
    """One line: what it matches, and whether it brings files back instead of leaving them out."""

    matcher: re.Pattern[str]
    brings_back: bool


class Dockerignore:
    """The rules of one ``.dockerignore`` file.

    :param text: the file's content; an empty text leaves nothing out
    :raises BuildContextError: a line is not a pattern; it is named by its number
    """

    def __init__(self, text: str = "") -> None:
        lines = text.removeprefix("\ufeff").splitlines()
        rules = (_rule(line, number) for number, line in enumerate(lines, start=1))
        self._rules = [rule for rule in rules if rule is not None]
        self.brings_back = any(rule.brings_back for rule in self._rules)

    def ignores(self, path: str) -> bool:
        """Say whether the file or folder is left out.

        :param path: relative to the context, with ``/`` between its parts
        """
        ancestry = _ancestry(path)
        ignored = False
        for rule in self._rules:
            # A rule that would not change the answer need not be tried.
            if rule.brings_back == ignored and any(rule.matcher.fullmatch(part) for part in ancestry):
                ignored = not rule.brings_back
        return ignored


def _ancestry(path: str) -> list[str]:
    """List the path and every folder above it, since a rule for a folder holds for all that lies in it."""
    parts = path.split("/")
    return ["/".join(parts[: length + 1]) for length in range(len(parts))]


def _rule(line: str, number: int) -> _Rule | None:
    if line.startswith("#") or not line.strip():
        return None
    where = f".dockerignore line {number}"
    pattern = line.strip()
    brings_back = pattern.startswith("!")
    if brings_back:
        pattern = pattern[1:].strip()
    if not pattern:
        raise BuildContextError(where, line, "a pattern after the '!'")
    try:
        return _Rule(re.compile(_expression(_clean(pattern)), re.DOTALL), brings_back)
    except re.error as error:
        remedy = f"It does not parse: {error}."
        raise BuildContextError(where, line, "a pattern of *, **, ? and [a-z]", remedy) from error


def _clean(pattern: str) -> str:
    """Take ``./``, ``//``, ``..`` and the outer slashes away, as Go's ``filepath.Clean`` does."""
    cleaned = posixpath.normpath(pattern)
    return cleaned.lstrip("/") or "."


def _expression(pattern: str) -> str:
    """Translate to a regular expression; ``**/`` is any number of folders, also none."""
    if pattern.startswith("**") and pattern[2:3] not in ("", "/"):
        # Docker compares only the end of the path in this case.
        return ".*" + _expression(pattern[2:])
    pieces: list[str] = []
    position = 0
    while position < len(pattern):
        piece, position = _piece(pattern, position)
        pieces.append(piece)
    return "".join(pieces)


def _piece(pattern: str, position: int) -> tuple[str, int]:
    """Translate what starts at the position; return it with the position after it."""
    character = pattern[position]
    if pattern.startswith("**", position):
        after = position + (3 if pattern.startswith("**/", position) else 2)
        return (".*" if after >= len(pattern) else "(?:.*/)?"), after
    if character == "\\" and position + 1 < len(pattern):
        return re.escape(pattern[position + 1]), position + 2
    if character == "[":
        return _character_class(pattern, position)
    simple = {"*": "[^/]*", "?": "[^/]", "\\": r"\\"}
    literal = f"\\{character}" if character in _METACHARACTERS else character
    return simple.get(character, literal), position + 1


def _character_class(pattern: str, position: int) -> tuple[str, int]:
    """Keep ``[a-z]`` and ``[^a-z]`` as they are: both notations mean the same."""
    end = pattern.find("]", position + 2)
    if end < 0:
        message = "a '[' without its ']'"
        raise re.error(message, pattern, position)
    return pattern[position : end + 1].replace("[[", r"[\["), end + 1
