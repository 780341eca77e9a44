"""Lines out of bytes."""

from __future__ import annotations

import pytest

from local_aws.output import cut_lines


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


def test_an_endless_line_is_cut() -> None:
    """Memory is finite."""
    lines = list(cut_lines([b"x" * 200_000] * 3))

    assert "".join(lines) == "x" * 600_000
    assert len(lines) == 2
