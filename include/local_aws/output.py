"""Cuts a stream of bytes into lines of text.

Owns decoding and the longest line. Must not know where the bytes come from.
"""

from __future__ import annotations

import codecs
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["cut_lines", "cut_streams"]

_LINE_CHARACTERS = 262_118
"""A longer line is cut, since memory is finite, at what an event of CloudWatch Logs once held: 256 KB less 26 bytes."""


class _LineCutter:
    """Takes a stream of bytes in pieces of any size and gives its lines, without line ends.

    Bytes that are not UTF-8 become U+FFFD.
    """

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._pending = ""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """Yield the lines that are complete with these bytes."""
        *complete, self._pending = (self._pending + self._decoder.decode(chunk)).split("\n")
        for line in complete:
            yield from _pieces(line.rstrip("\r"))
        while len(self._pending) > _LINE_CHARACTERS:
            yield self._pending[:_LINE_CHARACTERS]
            self._pending = self._pending[_LINE_CHARACTERS:]

    def end(self) -> Iterator[str]:
        """Yield the last line, if it has no line end."""
        last = self._pending + self._decoder.decode(b"", final=True)
        if last:
            yield from _pieces(last.rstrip("\r"))


def cut_lines(chunks: Iterable[bytes]) -> Iterator[str]:
    """Yield the lines of one stream."""
    return cut_streams((chunk,) for chunk in chunks)


def cut_streams(chunks: Iterable[Sequence[bytes | None]]) -> Iterator[str]:
    """Yield the lines of several streams that come together; none of them breaks a line of another.

    :param chunks: what came at one time, one place for each stream
    """
    cutters: list[_LineCutter] = []
    for parts in chunks:
        cutters += [_LineCutter() for _ in parts[len(cutters) :]]
        for cutter, part in zip(cutters, parts, strict=True):
            if part:
                yield from cutter.feed(part)
    for cutter in cutters:
        yield from cutter.end()


def _pieces(line: str) -> Iterator[str]:
    for start in range(0, len(line) or 1, _LINE_CHARACTERS):
        yield line[start : start + _LINE_CHARACTERS]
