"""Reading an endpoint's answers and comparing them with the labels."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.errors import SmokeTestError
from sagemaker_byoc.prediction import is_correct, read_predictions

READ = [
    (b'{"predictions": [{"label": "setosa", "probabilities": {"setosa": 0.9}}]}', "application/json", ["setosa"]),
    (b'{"predictions": [{"value": 1.5}, {"value": 2}]}', "application/json; charset=utf-8", [1.5, 2]),
    (b'{"predictions": ["a", "b"]}', "application/json", ["a", "b"]),
    (b"[1, 2.5]", "application/json", [1, 2.5]),
    (b"[[1], [2]]", "application/json", [1, 2]),
    (b'"setosa"', "application/json", ["setosa"]),
    (b'{"predicted_label": 3}', "application/vnd.x+json", [3]),
    (b"setosa,0.9\nvirginica,0.8\n", "text/csv", ["setosa", "virginica"]),
    (b'"a, b"\n', "text/csv; charset=utf-8", ["a, b"]),
]


@pytest.mark.parametrize(("body", "content_type", "predictions"), READ)
def test_usual_answers_are_read(body: bytes, content_type: str, predictions: list[object]) -> None:
    """JSON with labels or numbers, and CSV with the prediction first, are understood."""
    assert read_predictions(body, content_type) == predictions


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"<html>", "application/json"),
        (b'{"predictions": [{"probabilities": {}}]}', "application/json"),
        (b'{"predictions": [null]}', "application/json"),
        (b"[[1, 2]]", "application/json"),
        (b"\xff\xfe", "text/csv"),
    ],
)
def test_an_answer_that_is_not_understood_is_shown(body: bytes, content_type: str) -> None:
    """The message holds the beginning of the answer and what would be readable."""
    with pytest.raises(SmokeTestError, match="It begins with") as caught:
        read_predictions(body, content_type)
    assert repr(body) in str(caught.value)


@given(st.binary(max_size=80), st.sampled_from(["application/json", "text/csv", ""]))
def test_any_answer_is_either_read_or_explained(body: bytes, content_type: str) -> None:
    """A container may answer anything; no other error comes of it."""
    with suppress(SmokeTestError):
        assert isinstance(read_predictions(body, content_type), list)


@pytest.mark.parametrize(
    ("label", "prediction", "tolerance", "correct"),
    [
        ("setosa", "setosa", None, True),
        ("setosa", " setosa ", None, True),
        ("setosa", "Setosa", None, False),
        ("1", 1.0, None, True),
        ("1", "1.0", None, True),
        ("1", 1.01, None, False),
        ("1", 1.01, 0.1, True),
        ("1", 1.2, 0.1, False),
        ("setosa", 1.0, 0.1, False),
        ("1", "nan", 0.5, False),
        ("true", True, None, True),
        ("TRUE", True, None, True),
        ("1", True, None, True),
        ("False", False, None, True),
        ("0", False, None, True),
        ("0", True, None, False),
        ("true", False, None, False),
        ("yes", True, None, False),
        ("true", "True", None, False),
    ],
)
def test_labels_and_predictions_are_compared(
    label: str, prediction: str | float, tolerance: float | None, correct: bool
) -> None:
    """Classes compare as text or as equal numbers, JSON's truth values as such, regressions within the tolerance."""
    assert is_correct(label, prediction, tolerance) is correct
