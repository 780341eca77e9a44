"""Which files of a build context an image never sees.

Owns the rules of ``.dockerignore``. Must not know Dockerfiles or where files go.
Source: "Build context, .dockerignore files" in Docker's build manual.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Dockerignore"]

_PIECE = re.compile(r"\*\*/|\*\*|\*|\?|\[[^\]]*\]|\\.|.", re.DOTALL)


@dataclass(frozen=True)
class _Rule:
    """One line: a pattern, and whether it brings back what an earlier line left out."""

    pattern: re.Pattern[str]
    is_exception: bool


class Dockerignore:
    """The rules of one context.

    :param text: content of its ``.dockerignore``
    """

    def __init__(self, text: str = "") -> None:
        self._rules = [rule for rule in map(_read_rule, text.splitlines()) if rule is not None]

    @classmethod
    def of(cls, context: Path, dockerfile: Path) -> Dockerignore:
        """Read the rules of a context: ``<Dockerfile>.dockerignore`` if there is one, otherwise ``.dockerignore``."""
        for file in (dockerfile.with_name(f"{dockerfile.name}.dockerignore"), context / ".dockerignore"):
            if file.is_file():
                return cls(file.read_text(encoding="utf-8", errors="replace"))
        return cls()

    def excludes(self, path: str) -> bool:
        """Tell whether the file at this path, relative to the context and with ``/``, is left out.

        The last rule that matches the path or one of its parents decides.
        """
        parts = path.split("/")
        prefixes = ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
        excluded = False
        for rule in self._rules:
            if any(rule.pattern.fullmatch(prefix) for prefix in prefixes):
                excluded = not rule.is_exception
        return excluded


def _read_rule(line: str) -> _Rule | None:
    text = line.strip()
    if not text or text.startswith("#"):
        return None
    is_exception = text.startswith("!")
    cleaned = text.removeprefix("!").strip().removeprefix("./").strip("/")
    return _Rule(_compile(cleaned), is_exception) if cleaned else None


def _compile(glob: str) -> re.Pattern[str]:
    return re.compile("".join(map(_translate, _PIECE.findall(glob))), re.DOTALL)


def _translate(piece: str) -> str:
    if piece == "**/":
        return "(?:.*/)?"
    if piece in {"**", "*", "?"}:
        return {"**": ".*", "*": "[^/]*", "?": "[^/]"}[piece]
    if piece.startswith("[") and len(piece) > 1:
        return piece.replace("\\", "\\\\")
    return re.escape(piece[-1])
