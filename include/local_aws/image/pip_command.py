"""Reads the command lines of pip that a Dockerfile's ``RUN`` has.

Owns which words are requirements. Must not know files or images.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["Requirement", "read_pip_command"]

_PIP = re.compile(
    r"(?:(?:\S*/)?python[\d.]*\s+-m\s+pip[\d.]*|(?:\S*/)?pip[\d.]*|uv\s+pip)\s+(?:--?\S+\s+)*(?:install|wheel)\s+(.*)",
    re.S,
)
_OPTIONS_WITH_VALUE = re.compile(
    r"-[cfitw]|--(?:index-url|extra-index-url|find-links|target|timeout|retries|cache-dir|progress-bar|constraint|"
    r"trusted-host|prefix|root|platform|python-version|log|wheel-dir)"
)


@dataclass(frozen=True)
class Requirement:
    """One thing that pip is to install.

    :param text: a requirement such as ``torch==2.13.0``, or the path of a file with requirements
    """

    text: str
    is_file: bool = False


def read_pip_command(command: str) -> list[Requirement] | None:
    """Return what a command makes pip install or build wheels of; None when it is no such command of pip.

    Wheels in a folder (``/wheels/*.whl``) are left out: an earlier command has built them of requirements.
    """
    match = _PIP.fullmatch(command)
    return None if match is None else list(_requirements(shlex.split(match[1])))


def _requirements(words: Sequence[str]) -> Iterator[Requirement]:
    rest = iter(words)
    for word in rest:
        if word in {"-r", "--requirement"}:
            yield Requirement(next(rest, ""), is_file=True)
        elif word.startswith("--requirement="):
            yield Requirement(word.partition("=")[2], is_file=True)
        elif _OPTIONS_WITH_VALUE.fullmatch(word):
            next(rest, None)
        elif not word.startswith("-") and not word.endswith(".whl"):
            yield Requirement(word)
