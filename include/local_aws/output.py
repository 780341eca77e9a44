"""Cuts a stream of bytes into lines of text.

Owns decoding and the longest line. Must not know where the bytes come from.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["cut_lines"]

_LINE_CHARACTERS = 262_144
"""A longer line is cut: CloudWatch Logs once took at most 256 KB an event, and memory is finite."""


def cut_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of a stream, without line ends; bytes that are not UTF-8 become U+FFFD."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    for chunk in chunks:
        *complete, pending = (pending + decoder.decode(chunk)).split("\n")
        for line in complete:
            yield line.rstrip("\r")
        if len(pending) > _LINE_CHARACTERS:
            yield pending
            pending = ""
    pending += decoder.decode(b"", final=True)
    if pending:
        yield pending.rstrip("\r")
