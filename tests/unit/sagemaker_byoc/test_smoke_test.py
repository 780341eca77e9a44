"""The report of a smoke test and its verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.smoke_test import Answer, Limits, SmokeTestReport, percentile


def report(right: int = 9, wrong: int = 1, **limits: Any) -> SmokeTestReport:
    """Make a report of that many right and wrong answers, with latencies of 1, 2, 3 … milliseconds."""
    verdicts = [True] * right + [False] * wrong
    answers = [
        Answer(number, "setosa", "setosa" if correct else "virginica", correct)
        for number, correct in enumerate(verdicts, start=1)
    ]
    latencies = [float(number) for number in range(1, len(answers) + 1)]
    return SmokeTestReport("iris", "AllTraffic", answers, latencies, Limits(**limits))


def test_an_accuracy_at_the_floor_passes() -> None:
    """The floor itself is good enough."""
    assert report(9, 1, minimum_accuracy=0.9).violations() == []


def test_an_accuracy_below_the_floor_is_named() -> None:
    """The sentence holds what was reached and what was asked."""
    [violation] = report(8, 2, minimum_accuracy=0.9).violations()
    assert "0.800 (8 of 10 right)" in violation
    assert "0.9" in violation


def test_slow_answers_are_named() -> None:
    """The limit is on the 95th percentile."""
    [violation] = report(10, 0, maximum_latency_ms=9.0).violations()
    assert "p95 latency 10.0 ms" in violation


def test_the_report_is_plain_json() -> None:
    """XCom takes it as it is."""
    data = report(1, 1, minimum_accuracy=0.1).as_json(maximum_predictions=10)
    assert json.loads(json.dumps(data)) == {
        "endpoint_name": "iris",
        "variant": "AllTraffic",
        "records": 2,
        "correct": 1,
        "accuracy": 0.5,
        "minimum_accuracy": 0.1,
        "maximum_latency_ms": None,
        "latency_ms": {"p50": 1.0, "p95": 2.0, "max": 2.0},
        "predictions": [
            {"record": 1, "label": "setosa", "prediction": "setosa", "correct": True},
            {"record": 2, "label": "setosa", "prediction": "virginica", "correct": False},
        ],
        "passed": True,
    }


def test_a_long_report_keeps_the_wrong_answers() -> None:
    """The bound on predictions drops right ones first."""
    listed = report(100, 2).as_json(maximum_predictions=3)["predictions"]
    assert [entry["record"] for entry in listed] == [1, 101, 102]


def test_the_table_shows_every_column() -> None:
    """A reader sees label and prediction side by side."""
    lines = report(1, 1).table(10).splitlines()
    assert lines[0].split() == ["record", "label", "prediction", "correct?"]
    assert lines[1].split() == ["1", "setosa", "setosa", "yes"]
    assert lines[2].split() == ["2", "setosa", "virginica", "NO"]


def test_the_table_of_wrong_ones_holds_only_those() -> None:
    """A failure shows what failed, and how many more there are."""
    lines = report(5, 3).table(2, only_wrong=True).splitlines()
    assert [line.split()[0] for line in lines[1:3]] == ["6", "7"]
    assert lines[3] == "... and 1 more"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minimum_accuracy", 90),
        ("minimum_accuracy", float("nan")),
        ("maximum_latency_ms", 0),
        ("minimum_records", 0),
        ("minimum_records", 2.5),
        ("tolerance", -1),
    ],
)
def test_a_limit_without_meaning_is_refused(name: str, value: Any) -> None:
    """90 for 0.9 would fail every model, 0 milliseconds as well."""
    with pytest.raises(RequestError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (95, 4.0), (25, 1.0), (1, 1.0), (100, 4.0)])
def test_percentiles_are_values_that_were_measured(percent: float, value: float) -> None:
    """Nearest rank: no value is made up between two measurements."""
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value
