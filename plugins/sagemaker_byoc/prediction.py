"""What an endpoint answered, read from the body of its answer.

Owns which answers can be read and when an answer is right. Knows neither Airflow nor AWS.
"""

from __future__ import annotations

import csv
import io
import json
import math
from typing import Any, TypeAlias

from sagemaker_byoc.errors import SmokeTestError

__all__ = ["Prediction", "is_correct", "read_predictions"]

Prediction: TypeAlias = str | float | bool
"""A label, or the number of a regression."""

_SHOWN_CHARACTERS = 200
_KEYS = ("label", "value", "prediction", "predicted_label")


def read_predictions(body: bytes, content_type: str) -> list[Prediction]:
    """Read one prediction per record.

    JSON may be ``{"predictions": [...]}``, a list, or one entry alone; an entry is a label, a number, or an object
    that holds it as ``label``, ``value``, ``prediction`` or ``predicted_label``. CSV has one line per record and
    the prediction first.

    :param content_type: of the answer; what does not call itself JSON is read as CSV
    :raises SmokeTestError: it cannot be read; the message shows how it begins
    """
    try:
        text = body.decode("utf-8-sig")
        if content_type.partition(";")[0].strip().lower().endswith("json"):
            return [_entry(each) for each in _entries(json.loads(text))]
        return [line[0].strip() for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except (ValueError, csv.Error) as error:
        shown = body[:_SHOWN_CHARACTERS]
        message = (
            f"The answer ({content_type or 'no content type'}) cannot be read as predictions: {error}. "
            f"It begins with {shown!r}. Readable are JSON such as {{'predictions': [{{'label': 'a'}}]}} and CSV "
            "with the prediction first in every line."
        )
        raise SmokeTestError(message) from error


def is_correct(label: str, prediction: Prediction, tolerance: float | None = None) -> bool:
    """Say whether the prediction is the label.

    Without a tolerance, text is compared as text and ``1`` equals ``1.0``. JSON's ``true`` and ``false`` are the labels
    of these names in any case, and 1 and 0.

    :param tolerance: the largest absolute difference of a regression that still counts as right
    """
    if isinstance(prediction, bool):
        return label.lower() == str(prediction).lower() or _number(label) == float(prediction)
    given = str(prediction).strip()
    if tolerance is None and given == label:
        return True
    expected_number, given_number = _number(label), _number(given)
    if expected_number is None or given_number is None:
        return False
    return math.isclose(expected_number, given_number, rel_tol=0.0, abs_tol=tolerance or 0.0)


def _entries(answer: Any) -> list[Any]:
    if isinstance(answer, dict) and "predictions" in answer:
        answer = answer["predictions"]
    return answer if isinstance(answer, list) else [answer]


def _entry(entry: Any) -> Prediction:
    if isinstance(entry, dict):
        key = next((key for key in _KEYS if key in entry), None)
        if key is None:
            message = f"an entry has the keys {sorted(entry)}, none of which is {', '.join(_KEYS)}"
            raise ValueError(message)
        entry = entry[key]
    if isinstance(entry, list) and len(entry) == 1:
        entry = entry[0]
    if isinstance(entry, str | float | int):
        return entry
    message = f"the entry {entry!r} is neither a label nor a number"
    raise ValueError(message)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
