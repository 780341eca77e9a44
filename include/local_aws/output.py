"""Cuts a stream of bytes into lines of text.

Owns decoding and the longest line. Must not know where the bytes come from.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["cut_lines"]

_LINE_CHARACTERS = 262_118
"""A longer line is cut, since memory is finite, at what an event of CloudWatch Logs once held: 256 KB less 26 bytes."""


def cut_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a stream, without line ends; bytes that are not UTF-8 become U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    for chunk in chunks:
        *complete, pending = (pending + decoder.decode(chunk)).split("\n")
        for line in complete:
            yield from _pieces(line.rstrip("\r"))
        while len(pending) > _LINE_CHARACTERS:
            yield pending[:_LINE_CHARACTERS]
            pending = pending[_LINE_CHARACTERS:]
    pending += decoder.decode(b"", final=True)
    if pending:
        yield from _pieces(pending.rstrip("\r"))


def _pieces(line: str) -> Iterator[str]:
    for start in range(0, len(line) or 1, _LINE_CHARACTERS):
        yield line[start : start + _LINE_CHARACTERS]
