"""Text in columns."""

from __future__ import annotations

from sagemaker_byoc.text_table import aligned


def test_columns_are_as_wide_as_their_longest_cell() -> None:
    """Two spaces lie between them, and no space lies behind the last one."""
    assert aligned([("a", "bbb", "c"), ("aa", "b", ""), ("", "", "ccc")]) == ["a   bbb  c", "aa  b", "         ccc"]
