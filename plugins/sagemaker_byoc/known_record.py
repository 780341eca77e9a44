"""Records whose right answer is known, and the request bodies made from them.

Owns how records are read, checked and written for an endpoint. Everything that can be wrong with them is found
here, before any request is sent. Knows neither Airflow nor AWS nor where the text came from.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sagemaker_byoc.errors import RequestError

__all__ = ["KnownRecord", "decode", "encode", "read_csv", "read_rows"]

_FIELD = "records"


@dataclass(frozen=True)
class KnownRecord:
    """One record without its label, and the label.

    :param features: value by column name, in the order of the columns
    :param label: the right answer, as text
    """

    features: Mapping[str, Any]
    label: str


def read_csv(content: bytes, label_column: str, *, source: str) -> list[KnownRecord]:
    """Read CSV text whose first line names the columns.

    :param content: UTF-8, with or without a byte order mark
    :param source: where it came from, for messages
    :raises RequestError: it is not such a text; the message names the line and the column
    """
    reader = csv.reader(io.StringIO(_csv_text(content, source), newline=""), strict=True)
    records: list[KnownRecord] = []
    header: list[str] | None = None
    try:
        for values in reader:
            if not values:
                continue
            if header is None:
                header = _header(values, label_column, source)
            else:
                records.append(_record(header, values, label_column, f"{source} line {reader.line_num}"))
    except csv.Error as error:
        where = f"{source} line {reader.line_num}"
        raise RequestError(_FIELD, where, "CSV text", f"The line does not parse: {error}.") from error
    if header is None:
        raise RequestError(_FIELD, f"{source}: empty", "CSV text with a header line and at least one record")
    return records


def read_rows(rows: Sequence[Any], label_column: str, *, places: Sequence[str] = ()) -> list[KnownRecord]:
    """Read records from dictionaries, all with the same keys.

    :param places: where each one stands, for messages; by default those of a list in the DAG
    :raises RequestError: an entry is no dictionary, or its keys differ from the first entry's
    """
    places = places or [f"records[{number}]" for number in range(len(rows))]
    records: list[KnownRecord] = []
    for where, row in zip(places, rows, strict=True):
        if not isinstance(row, Mapping):
            raise RequestError(where, row, "a dictionary, in JSON an object, of column name and value")
        if label_column not in row:
            raise RequestError("label_column", label_column, f"a key of {where}: {', '.join(map(str, row))}")
        if len(row) == 1:
            raise RequestError(where, f"only the column {label_column!r}", "at least one column beside the label")
        if set(row) != set(rows[0]):
            odd = ", ".join(sorted(map(str, set(row) ^ set(rows[0]))))
            raise RequestError(where, sorted(map(str, row)), f"the keys of {places[0]}", f"The difference: {odd}.")
        features = {name: row[name] for name in rows[0] if name != label_column}
        records.append(KnownRecord(features, _label(row[label_column], where, label_column)))
    return records


def encode(records: Iterable[KnownRecord], content_type: str) -> bytes:
    """Write the body of one request, without the labels.

    ``text/csv`` starts with the column names, so that the container can put columns in its own order;
    ``text/csv; header=absent`` (RFC 4180, section 3) leaves them out, as SageMaker's built-in algorithms want it.
    ``application/json`` is ``{"instances": [{column: value}, ...]}``.

    :raises RequestError: any other content type
    """
    essence, _, parameters = content_type.partition(";")
    features = [record.features for record in records]
    if essence.strip().lower() == "text/csv":
        return _csv(features, header="header=absent" not in parameters.replace(" ", "").lower())
    if essence.strip().lower() == "application/json":
        instances = [{name: _number(value) for name, value in each.items()} for each in features]
        return json.dumps({"instances": instances}).encode()
    raise RequestError("content_type", content_type, "text/csv, text/csv; header=absent or application/json")


def _csv(features: Sequence[Mapping[str, Any]], *, header: bool) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    if header:
        writer.writerow(features[0])
    writer.writerows(each.values() for each in features)
    return text.getvalue().encode()


def decode(content: bytes, source: str) -> str:
    """Return UTF-8 as text, without a byte order mark.

    :param source: where it came from, for the message
    :raises RequestError: it is not UTF-8; the message names the line
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise RequestError(_FIELD, f"{source} line {line}", "UTF-8 text", f"Byte {error.start} is not.") from error


def _csv_text(content: bytes, source: str) -> str:
    text = decode(content, source)
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise RequestError(_FIELD, f"{source} line {line}", "CSV text", "The line holds a NUL: this is binary data.")
    return text


def _header(names: list[str], label_column: str, source: str) -> list[str]:
    """Check the first line; a number in it means that the file has no header."""
    for position, name in enumerate(names, start=1):
        where = f"{source} line 1, column {position}: {name!r}"
        if not name.strip() or _is_number(name):
            raise RequestError(_FIELD, where, "a column name: the first line is the header")
        if names.index(name) != position - 1:
            raise RequestError(_FIELD, where, "a column name that occurs once")
    if label_column not in names:
        remedy = "It names the column of the right answers."
        raise RequestError("label_column", label_column, f"a column of {source}: {', '.join(names)}", remedy)
    if len(names) == 1:
        raise RequestError(_FIELD, f"{source}: only the column {names[0]!r}", "at least one column beside the label")
    return names


def _record(header: list[str], values: list[str], label_column: str, where: str) -> KnownRecord:
    if len(values) != len(header):
        few = len(values) < len(header)
        remedy = f"Column {header[len(values)]!r} has none." if few else f"Column {header[-1]!r} is the last one."
        raise RequestError(_FIELD, f"{where}: {len(values)} values", f"{len(header)} values, as in the header", remedy)
    row = dict(zip(header, values, strict=True))
    label = _label(row.pop(label_column), where, label_column)
    return KnownRecord(row, label)


def _label(value: Any, where: str, label_column: str) -> str:
    if isinstance(value, (Mapping, list)):
        raise RequestError(
            _FIELD, f"{where}, column {label_column!r}: {value!r}", "a label: text, a number or a truth value"
        )
    text = "" if value is None else str(value).strip()
    if not text:
        raise RequestError(_FIELD, f"{where}, column {label_column!r}: empty", "a label in every record")
    return text


def _number(value: Any) -> Any:
    """Give JSON the number that a CSV cell means."""
    return float(value) if isinstance(value, str) and _is_number(value) else value


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
