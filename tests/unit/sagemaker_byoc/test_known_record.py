"""Reading records with known answers, and writing requests from them."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.known_record import KnownRecord, encode, read_csv, read_rows

CSV = b"length,species,width\n4.9,setosa,0.1\n5.8,virginica,2\n"


def test_the_label_is_taken_out_of_the_record() -> None:
    """The endpoint must not see the answer."""
    records = read_csv(CSV, "species", source="test.csv")
    assert records[0] == KnownRecord({"length": "4.9", "width": "0.1"}, "setosa")
    assert b"setosa" not in encode(records, "text/csv")


def test_csv_starts_with_the_column_names() -> None:
    """The container may put the columns in its own order."""
    records = read_csv(CSV, "species", source="test.csv")
    assert encode(records, "text/csv") == b"length,width\n4.9,0.1\n5.8,2\n"


def test_csv_without_header_is_asked_for_in_the_content_type() -> None:
    """``header=absent`` is the parameter that RFC 4180 has for it."""
    records = read_csv(CSV, "species", source="test.csv")
    assert encode(records, "text/csv; header=absent") == b"4.9,0.1\n5.8,2\n"


def test_json_holds_numbers_as_numbers() -> None:
    """A CSV cell that is a number is one in JSON, too."""
    body = encode(read_csv(CSV, "species", source="test.csv")[:1], "application/json")
    assert json.loads(body) == {"instances": [{"length": 4.9, "width": 0.1}]}


def test_another_content_type_is_refused() -> None:
    """The message lists what can be written."""
    with pytest.raises(RequestError, match=r"text/csv.*application/json"):
        encode([KnownRecord({"a": 1}, "x")], "application/x-npy")


REFUSED = {
    "nothing": (b"", "empty"),
    "blank lines": (b"\n\n", "empty"),
    "numbers for a header": (b"4.9,setosa,0.1\n", "line 1, column 1.*header"),
    "an empty name": (b"a,,species\n", "line 1, column 2"),
    "a name twice": (b"a,species,a\n", "line 1, column 3.*once"),
    "no label column": (b"a,b\n1,2\n", "label_column: got 'species'.*a, b"),
    "only the label": (b"species\nx\n", "beside the label"),
    "too few values": (b"a,species\n1,x\n2\n", "line 3: 1 values.*Column 'species' has none"),
    "too many values": (b"a,species\n1,x,9\n", "line 2: 3 values.*Column 'species' is the last"),
    "an empty label": (b"a,species\n1,\n", "line 2, column 'species': empty"),
    "a broken quote": (b'a,species\n"1,x\n', "does not parse"),
    "binary": (b"a,species\n1,\x00\n", "line 2.*NUL"),
    "not UTF-8": (b"a,species\n1,\xff\n", "line 2.*UTF-8"),
    "JSON": (b'{"a": 1}\n', "label_column"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_csv_is_refused_with_line_and_column(case: str) -> None:
    """Nothing is sent for such input, and the message leads to the place."""
    content, message = REFUSED[case]
    with pytest.raises(RequestError, match=message):
        read_csv(content, "species", source="test.csv")


@given(st.binary(max_size=200))
def test_any_bytes_are_either_read_or_refused(content: bytes) -> None:
    """No input ends in another error than the one that explains it."""
    try:
        records = read_csv(content, "species", source="bytes")
    except RequestError:
        return
    assert all(record.label for record in records)


def test_a_byte_order_mark_is_no_part_of_the_first_name() -> None:
    """Spreadsheet programs write one."""
    assert read_csv(b"\xef\xbb\xbf" + CSV, "species", source="test.csv")[0].label == "setosa"


def test_inline_rows_are_read_like_a_file() -> None:
    """Dictionaries in the DAG are enough for a few records."""
    rows = [{"species": "setosa", "length": 4.9}, {"length": 5.8, "species": "virginica"}]
    records = read_rows(rows, "species")
    assert [record.label for record in records] == ["setosa", "virginica"]
    assert encode(records, "text/csv") == b"length\n4.9\n5.8\n"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([{"a": 1}], "label_column"),
        ([{"a": 1, "species": "x"}, {"b": 1, "species": "x"}], r"records\[1\].*difference: a, b"),
        (["text"], r"records\[0\].*dictionary"),
        ([{"a": 1, "species": None}], "empty"),
    ],
)
def test_rows_that_do_not_fit_together_are_refused(rows: list[object], message: str) -> None:
    """The message names the entry."""
    with pytest.raises(RequestError, match=message):
        read_rows(rows, "species")
