"""Read request bodies: CSV and JSON to a matrix with one column for each feature of the model."""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from model.matrix import CellError, Matrix, to_matrix
from sagemaker_container.errors import BadRequestError

EXPECTED_JSON = (
    'expected {"instances": [row, …]}, {"features": row} or [row, …], where a row is a list of numbers or an object '
    "with one number for each feature"
)


class RequestReader:
    """Reads rows for a model with these features.

    :param features: names, in the model's order.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self._features = tuple(features)

    def csv(self, body: bytes, parameters: Mapping[str, str]) -> Matrix:
        """Read CSV with or without a header; with one, columns are found by name and others are ignored.

        The first line is taken for a header when the content type says ``header=present``, or says nothing and the line
        names a feature or has no number in it.
        """
        try:
            rows = [row for row in csv.reader(io.StringIO(_text(body), newline=""), strict=True) if row]
        except csv.Error as error:
            message = f"The body is not CSV: {error}."
            raise BadRequestError(message) from error
        if rows and self._is_header(rows[0], parameters.get("header", "")):
            columns = [name.strip() for name in rows.pop(0)]
            rows = self._by_name(columns, rows)
        return self._matrix(rows)

    def json(self, body: bytes, _parameters: Mapping[str, str]) -> Matrix:
        """Read JSON: a batch of rows or a single one, each a list in the model's order or an object by name."""
        try:
            content = json.loads(_text(body))
        except (ValueError, RecursionError) as error:
            message = f"The body is not JSON: {error}."
            raise BadRequestError(message) from error
        rows = self._rows(content)
        return self._matrix([self._in_order(row, number) for number, row in enumerate(rows, start=1)])

    def _is_header(self, first: Sequence[str], declared: str) -> bool:
        if declared in ("present", "absent"):
            return declared == "present"
        names = {cell.strip() for cell in first}
        return bool(names & set(self._features)) or not any(_is_number(name) for name in names)

    def _by_name(self, columns: list[str], rows: list[list[str]]) -> list[list[str]]:
        missing = [name for name in self._features if name not in columns]
        if missing:
            message = f"The header lacks the columns {', '.join(missing)}; it has {', '.join(columns)[:200]}."
            raise BadRequestError(message)
        _require_width(rows, len(columns), "the header")
        positions = [columns.index(name) for name in self._features]
        return [[row[position] for position in positions] for row in rows]

    def _rows(self, content: Any) -> list[Any]:
        """Return the rows of a JSON body; a list of plain values or an object of features is one row."""
        rows = content
        if isinstance(content, dict):
            rows = content.get("instances", [content])
        if not isinstance(rows, list):
            message = f"The body does not hold rows; {EXPECTED_JSON}."
            raise BadRequestError(message)
        flat = rows is content and rows and not any(isinstance(row, (list, dict)) for row in rows)
        return [rows] if flat else rows

    def _in_order(self, row: Any, number: int) -> list[Any]:
        if isinstance(row, dict) and row.keys() == {"features"}:
            row = row["features"]
        if isinstance(row, dict):
            missing = [name for name in self._features if name not in row]
            if missing:
                message = f"Row {number} lacks {', '.join(missing)}; {EXPECTED_JSON}."
                raise BadRequestError(message)
            return [row[name] for name in self._features]
        if not isinstance(row, list):
            message = f"Row {number} is {str(row)[:40]!r}; {EXPECTED_JSON}."
            raise BadRequestError(message)
        return row

    def _matrix(self, rows: Sequence[Sequence[Any]]) -> Matrix:
        if not rows:
            raise BadRequestError("The body holds no rows.")
        _require_width(rows, len(self._features), f"the model ({', '.join(self._features)})")
        try:
            return to_matrix(rows, len(self._features))
        except CellError as error:
            message = f"Row {error.row + 1}: {self._features[error.column]} {error.reason}."
            raise BadRequestError(message) from error


def _require_width(rows: Sequence[Sequence[Any]], width: int, reference: str) -> None:
    for number, row in enumerate(rows, start=1):
        if len(row) != width:
            message = f"Row {number} has {len(row)} values where {reference} has {width}."
            raise BadRequestError(message)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"The body is not UTF-8: {error}."
        raise BadRequestError(message) from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
