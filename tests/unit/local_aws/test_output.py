"""Lines out of bytes."""

from __future__ import annotations

import pytest

from local_aws.output import cut_lines, cut_streams


@pytest.mark.parametrize(
    ("chunks", "lines"),
    [
        ([b"one\ntw", b"o\n"], ["one", "two"]),
        ([b"one\r\n", b"\n", b"end"], ["one", "", "end"]),
        ([b"\xc3", b"\xa4\n"], ["\u00e4"]),
        ([b"a\xffb\n"], ["a\ufffdb"]),
        ([b"\xc3"], ["\ufffd"]),
        ([], []),
    ],
)
def test_lines_do_not_depend_on_how_bytes_arrive(chunks: list[bytes], lines: list[str]) -> None:
    """Neither pieces of a line nor of a character show."""
    assert list(cut_lines(chunks)) == lines


@pytest.mark.parametrize("chunk_bytes", [1_000, 200_000, 600_000])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_long_line_is_cut_at_the_same_places_however_it_arrives(chunk_bytes: int, end: bytes) -> None:
    """Memory is finite, and an event of CloudWatch Logs too."""
    lines = list(cut_lines([b"x" * chunk_bytes] * (600_000 // chunk_bytes) + [end]))

    assert "".join(lines) == "x" * 600_000
    assert [len(line) for line in lines] == [262_118, 262_118, 75_764]


def test_two_streams_do_not_break_each_other_s_lines() -> None:
    """What comes of one in the middle of a line of the other is a line of its own."""
    chunks = [(b"long ", None), (None, b"warning\n\xc3"), (b"line\n", b"\xa4")]

    assert list(cut_streams(chunks)) == ["warning", "long line", "\u00e4"]
