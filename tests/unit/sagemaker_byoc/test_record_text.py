"""Reading records from text in any of the formats."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.known_record import KnownRecord
from sagemaker_byoc.record_text import is_inline, read_records

ROWS = [{"length": 4.9, "species": "setosa"}, {"species": "virginica", "length": 5.8}]
ARRAY = json.dumps(ROWS).encode()
LINES = b"".join(json.dumps(row).encode() + b"\n" for row in ROWS)
CSV = b"length,species\n4.9,setosa\n5.8,virginica\n"


@pytest.mark.parametrize(
    ("content", "source"),
    [
        (ARRAY, "s3://bucket/a.json"),
        (ARRAY, "a"),
        (b"\xef\xbb\xbf \n" + ARRAY, "a"),
        (json.dumps(ROWS, indent=2).encode(), "A.JSON"),
        (LINES, "a.jsonl"),
        (LINES, "a.ndjson"),
        (LINES, "a.json"),
        (LINES.replace(b"\n", b"\r\n\n"), "part-00000"),
    ],
)
def test_json_is_told_by_suffix_or_content(content: bytes, source: str) -> None:
    """An array and lines are both read, with numbers as numbers and the label taken out."""
    assert read_records(content, "species", source=source) == [
        KnownRecord({"length": 4.9}, "setosa"),
        KnownRecord({"length": 5.8}, "virginica"),
    ]


@pytest.mark.parametrize("source", ["a.csv", "a", "a.txt", "records (inline)"])
def test_everything_else_is_csv(source: str) -> None:
    """Its cells stay the text that they are."""
    assert read_records(CSV, "species", source=source)[1] == KnownRecord({"length": "5.8"}, "virginica")


def test_a_csv_file_may_begin_as_json_does() -> None:
    """The suffix is what the file's author said about it."""
    assert read_records(b"[mm],species\n1,x\n", "species", source="a.csv")[0].features == {"[mm]": "1"}


REFUSED = {
    "nothing": (b"", "a.json", "a.json: empty"),
    "an empty array": (b"[]", "a.json", "a.json: empty"),
    "CSV with the wrong suffix": (CSV, "a.json", "a.json line 1, column 1.*JSON text"),
    "a broken line": (LINES + b'{"length": 1,\n', "a.jsonl", "a.jsonl line 3, column.*whole in its line"),
    "an object over several lines": (b'{\n"length": 1\n}', "a.json", "line 1.*stand in an array"),
    "a broken array": (b'[{"length": 1,\n "species" "x"}]', "a.json", "line 2, column 12"),
    "a text among the objects": (b'[{"length": 1, "species": "x"}, "y"]', "a.json", "a.json record 2: got 'y'"),
    "a number in a line": (LINES + b"3\n", "a.jsonl", "a.jsonl line 3: got 3"),
    "no label column": (b'[{"length": 1}]', "a.json", "label_column: got 'species'.*a.json record 1"),
    "another key": (
        LINES + b'{"width": 1, "species": "x"}',
        "a.jsonl",
        "line 3.*keys of a.jsonl line 1.*length, width",
    ),
    "a label that is missing": (LINES.replace(b'"virginica"', b"null"), "a.jsonl", "line 2, column 'species': empty"),
    "a label that is an object": (LINES.replace(b'"virginica"', b"{}"), "a.jsonl", "line 2, column 'species': {}"),
    "only labels": (b'[{"species": "x"}]', "a.json", "record 1.*beside the label"),
    "a name twice": (b'[{"a": 1, "a": 2, "species": "x"}]', "a.json", "record 1, column 'a'.*occurs once"),
    "not UTF-8": (ARRAY + b"\n\xff", "a.json", "a.json line 2.*UTF-8"),
    "too deep": (b"[" * 200_000, "a.json", "a.json line 1"),
    "a number of too many digits": (b'[{"a": ' + b"9" * 5000 + b"}]", "a.json", "a.json line 1"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_with_its_place(case: str) -> None:
    """The message leads to the line or the record, and to the column."""
    content, source, message = REFUSED[case]
    with pytest.raises(RequestError, match=message):
        read_records(content, "species", source=source)


@given(st.binary(max_size=100), st.sampled_from(["", "[", "{", '[{"species": 1,']), st.sampled_from(["a", "a.json"]))
def test_any_bytes_are_either_read_or_refused(content: bytes, beginning: str, source: str) -> None:
    """No input ends in another error than the one that explains it."""
    try:
        records = read_records(beginning.encode() + content, "species", source=source)
    except RequestError:
        return
    assert all(record.label for record in records)


@pytest.mark.parametrize(
    ("text", "inline"),
    [
        ("s3://bucket/[2026]/test.csv", False),
        ("/data/test.csv", False),
        ("test.csv\n", False),
        (' [{"a": 1}]', True),
        ('{"a": 1}', True),
        ("a,b\n1,2", True),
    ],
)
def test_a_text_of_records_is_told_from_a_path(text: str, inline: bool) -> None:
    """No path begins with a brace or has more than one line."""
    assert is_inline(text) is inline
