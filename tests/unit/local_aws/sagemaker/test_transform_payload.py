"""How an input object is cut into requests."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.sagemaker.transform_parameters import TransformParameters
from local_aws.sagemaker.transform_payload import PayloadTooLargeError, payloads

_MB = 1024 * 1024


def _cut(content: bytes, *, by_line: bool, is_single: bool = False) -> list[bytes]:
    return list(payloads(io.BytesIO(content), TransformParameters(1, is_single, 1), by_line=by_line))


@pytest.mark.parametrize("is_single", [True, False])
def test_an_object_that_is_not_split_is_one_request(*, is_single: bool) -> None:
    """Whatever the strategy says: without a split there is one record. An empty object is sent too."""
    assert _cut(b"1,2\n3,4\n", by_line=False, is_single=is_single) == [b"1,2\n3,4\n"]
    assert _cut(b"", by_line=False, is_single=is_single) == [b""]


def test_single_records_go_alone_with_their_line_ends() -> None:
    """The last line may lack its end."""
    assert _cut(b"1,2\n\n3,4", by_line=True, is_single=True) == [b"1,2\n", b"\n", b"3,4"]


def test_as_many_lines_go_together_as_fit() -> None:
    """A request is full when the next line would make it larger than it may be."""
    line = b"x" * (_MB // 2 - 1) + b"\n"

    assert [len(body) for body in _cut(line * 5, by_line=True)] == [_MB, _MB, _MB // 2]


def test_an_object_without_lines_makes_no_request() -> None:
    """There is no record to ask for."""
    assert _cut(b"", by_line=True) == []


@pytest.mark.parametrize(("by_line", "is_single"), [(False, False), (True, False), (True, True)])
def test_a_record_that_is_too_large_is_refused(*, by_line: bool, is_single: bool) -> None:
    """One byte more than a request may have, and not one less."""
    assert _cut(b"x" * _MB, by_line=by_line, is_single=is_single) == [b"x" * _MB]
    with pytest.raises(PayloadTooLargeError):
        _cut(b"x" * (_MB + 1), by_line=by_line, is_single=is_single)


@given(st.binary(max_size=200), st.booleans(), st.booleans())
def test_no_byte_is_lost_or_moved(content: bytes, by_line: bool, is_single: bool) -> None:
    """The requests one after the other are the object."""
    assert b"".join(_cut(content, by_line=by_line, is_single=is_single)) == content
