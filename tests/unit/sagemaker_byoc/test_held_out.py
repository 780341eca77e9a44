"""A held-out set: its digest, its requests, and what answers are worth."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.held_out import ACCURACY, MEAN_ABSOLUTE_ERROR, HeldOutSet
from sagemaker_byoc.known_record import KnownRecord, encode


def a_set(*labels: str, **settings: Any) -> HeldOutSet:
    """Make a set of records with these labels."""
    records = [KnownRecord({"length": str(number)}, label) for number, label in enumerate(labels)]
    return HeldOutSet(records, **settings)


def never(_features: dict[str, Any], _label: str, _prediction: Any) -> bool:
    """Judge every answer as wrong."""
    return False


@pytest.mark.parametrize(
    ("labels", "predictions", "metrics"),
    [
        (("a", "b"), ["a", "c"], {ACCURACY: 0.5}),
        (("1", "2"), ["1", 4.0], {ACCURACY: 0.5, MEAN_ABSOLUTE_ERROR: 1.0}),
        (("1", "2"), [1, "nan"], {ACCURACY: 0.5}),
        (("1", "0"), [True, True], {ACCURACY: 0.5}),
    ],
)
def test_answers_are_measured(labels: tuple[str, ...], predictions: list[Any], metrics: dict[str, float]) -> None:
    """There is an error only where every label and every answer is a number."""
    assert a_set(*labels).measure(predictions) == metrics


def test_a_checker_or_a_tolerance_says_what_is_right() -> None:
    """As in the smoke test."""
    assert a_set("1", tolerance=0.5).measure([1.4])[ACCURACY] == 1.0
    assert a_set("1", checker=f"{__name__}:never").measure(["1"])[ACCURACY] == 0.0


def test_the_digest_is_of_everything_that_makes_metrics_comparable() -> None:
    """Records, labels, and how answers are judged; the same set has the same digest however it is asked."""
    sets = [
        a_set("1", "2"),
        a_set("2", "1"),
        a_set("1"),
        a_set("1", "2", tolerance=0.5),
        a_set("1", "2", checker=f"{__name__}:never"),
        HeldOutSet([KnownRecord({"width": "0"}, "1"), KnownRecord({"width": "1"}, "2")]),
    ]
    assert len({one.digest for one in sets}) == len(sets)
    assert a_set("1", "2").digest == a_set("1", "2").digest


@given(st.lists(st.text("abc", min_size=1, max_size=30), min_size=1, max_size=40), st.integers(45, 200))
def test_requests_fit_and_hold_every_record_once_in_order(values: list[str], limit: int) -> None:
    """Each has the column names, and none a label."""
    records = [KnownRecord({"column": value}, "label") for value in values]
    bodies = HeldOutSet(records).bodies("text/csv", limit)
    assert all(len(body) <= limit for body in bodies)
    assert [line for body in bodies for line in body.decode().splitlines()[1:]] == values
    assert HeldOutSet(records).bodies("text/csv", float("inf")) == [encode(records, "text/csv")]


@pytest.mark.parametrize(
    ("records", "settings", "told"),
    [
        ([], {}, "records: got 'no record'"),
        (["1"], {"tolerance": -1.0}, "tolerance: got -1.0"),
        (["1"], {"tolerance": 1.0, "checker": f"{__name__}:never"}, "None beside a checker"),
        (["1"], {"checker": "no.such"}, "checker: got 'no.such'"),
    ],
)
def test_a_set_that_says_nothing_is_refused(records: list[str], settings: dict[str, Any], told: str) -> None:
    """Before anybody is asked."""
    with pytest.raises(RequestError, match=told):
        a_set(*records, **settings)
