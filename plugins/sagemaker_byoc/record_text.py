"""Records in text: CSV, a JSON array of objects, or JSON lines.

Owns which of the three a text is, and the places in JSON that messages name. Which rows make records stands in
``known_record``. Knows neither Airflow nor AWS nor where the text came from.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import PurePosixPath
from typing import Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.known_record import KnownRecord, decode, read_csv, read_rows

__all__ = ["is_inline", "read_records"]

_FIELD = "records"
_JSON_SUFFIXES = frozenset({".json", ".jsonl", ".ndjson"})
_JSON_BEGINNINGS = ("[", "{")


class _Row(dict[str, Any]):
    """A JSON object that remembers which of its names occurred more than once."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        self.repeated = [name for name, times in Counter(name for name, _ in pairs).items() if times > 1]


def is_inline(given: str) -> bool:
    """Tell records that are written in the DAG from the path or URI of a file: they are JSON, or more than one line."""
    return given.lstrip().startswith(_JSON_BEGINNINGS) or "\n" in given.strip()


def read_records(content: bytes, label_column: str, *, source: str) -> list[KnownRecord]:
    """Read the records of a text.

    ``.csv`` is CSV; ``.json``, ``.jsonl`` and ``.ndjson`` are JSON; without any of these suffixes, what begins as an
    array or an object is JSON. JSON that does not begin as an array has one object in each line.

    :param content: UTF-8, with or without a byte order mark
    :param source: path or URI, also for messages
    :raises RequestError: it cannot be read; the message names the line or the record, and the column
    """
    suffix = PurePosixPath(source).suffix.lower()
    if suffix == ".csv" or (suffix not in _JSON_SUFFIXES and not _begins_as_json(content)):
        return read_csv(content, label_column, source=source)
    text = decode(content, source)
    rows = _array(text, source) if text.lstrip().startswith("[") else _lines(text, source)
    if not rows:
        raise RequestError(_FIELD, f"{source}: empty", "a JSON array of objects, or lines with one object each")
    for place, row in rows.items():
        if isinstance(row, _Row) and row.repeated:
            raise RequestError(_FIELD, f"{place}, column {row.repeated[0]!r}", "a column name that occurs once")
    return read_rows(list(rows.values()), label_column, places=list(rows))


def _begins_as_json(content: bytes) -> bool:
    return content.decode("utf-8-sig", errors="replace").lstrip().startswith(_JSON_BEGINNINGS)


def _array(text: str, source: str) -> dict[str, Any]:
    """Return each object of an array by where it stands."""
    rows = _parse(text, source, "It begins with '[', as an array of objects does.")
    return {f"{source} record {number}": row for number, row in enumerate(rows, start=1)}


def _lines(text: str, source: str) -> dict[str, Any]:
    """Return the object of each line that is not blank by where it stands."""
    remedy = "An object has to be whole in its line, or else to stand in an array."
    return {
        f"{source} line {number}": _parse(line, source, remedy, first_line=number)
        for number, line in enumerate(text.split("\n"), start=1)
        if line.strip()
    }


def _parse(text: str, source: str, remedy: str, *, first_line: int = 1) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_Row)
    except json.JSONDecodeError as error:
        place = f"{source} line {error.lineno + first_line - 1}, column {error.colno}"
        raise RequestError(_FIELD, place, "JSON text", f"{error.msg}. {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise RequestError(_FIELD, f"{source} line {first_line}", "JSON text", f"{error}. {remedy}") from error
