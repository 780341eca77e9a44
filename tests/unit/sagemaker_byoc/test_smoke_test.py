"""The report of a smoke test and its verdict."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sagemaker_byoc.limit import Limits
from sagemaker_byoc.smoke_test import Answer, SmokeTestReport, VariantReport, percentile


def variant(
    right: int = 9, wrong: int = 1, *, name: str = "AllTraffic", error: str = "", **limits: Any
) -> VariantReport:
    """Make a report of that many right and wrong answers, with latencies of 1, 2, 3 … milliseconds."""
    verdicts = [True] * right + [False] * wrong
    answers = [
        Answer(number, "setosa", "setosa" if correct else "virginica", correct)
        for number, correct in enumerate(verdicts, start=1)
    ]
    latencies = [float(number) for number in range(1, len(answers) + 1)]
    return VariantReport(name, len(answers), answers, latencies, Limits(**limits), error)


def report(right: int = 9, wrong: int = 1, **limits: Any) -> SmokeTestReport:
    """Make a report of one variant with that many right and wrong answers."""
    return SmokeTestReport("iris", [variant(right, wrong, **limits)], Limits(**limits))


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


@pytest.mark.parametrize(
    ("limit", "reached"),
    [("maximum_p50_latency_ms", "p50 latency 50.0"), ("maximum_p99_latency_ms", "p99 latency 99.0")],
)
def test_each_percentile_has_a_limit_of_its_own(limit: str, reached: str) -> None:
    """A slow tail is not hidden by a quick middle, nor the other way round."""
    [violation] = report(100, 0, **{limit: 40}).violations()
    assert violation == f"{reached} ms is above {limit} 40"


def test_every_variant_has_to_pass() -> None:
    """One that is good does not make up for another, and the sentence names the one that failed."""
    good, bad = variant(10, 0, name="A"), variant(1, 9, name="B")
    both = SmokeTestReport("iris", [good, bad])
    assert both.failed_variants == ["B"]
    [violation] = both.violations()
    assert violation.startswith("variant B: accuracy 0.100 (1 of 10 right)")
    data = both.as_json()
    assert [(each["variant"], each["passed"]) for each in data["variants"]] == [("A", True), ("B", False)]
    assert (data["variant"], data["records"], data["correct"], data["passed"]) == (None, 20, 11, False)
    assert data["predictions"][10]["variant"] == "B"
    assert both.table(10).splitlines()[0].split() == ["variant", "record", "label", "prediction", "correct?"]
    assert len(both.summary().splitlines()) == 2


def test_an_error_is_the_verdict() -> None:
    """What was answered before it says little, and nothing was measured if it came first."""
    broken = VariantReport("B", 4, [], [], Limits(maximum_latency_ms=1), "record 1: no answer")
    assert broken.violations() == ["record 1: no answer"]
    assert broken.as_json()["latency_ms"] == {}
    assert "not measured" in broken.summary()
    assert SmokeTestReport("iris", [broken]).violations() == ["variant B: record 1: no answer"]


def test_a_record_is_right_if_every_repeat_is() -> None:
    """The wrong one of the answers is shown, and all of them are kept."""
    right, wrong = Answer(1, "setosa", "setosa", True), Answer(1, "setosa", "virginica", False, "not even close")
    both = Answer.of_repeats([right, wrong, right])
    assert (both.correct, both.prediction, both.why, both.stable) == (False, "virginica", "not even close", False)
    assert both.as_json(repeated=True)["every"] == ["setosa", "virginica", "setosa"]
    assert Answer.of_repeats([right, right]).stable


def test_answers_may_be_unstable_and_right() -> None:
    """Within a tolerance both numbers are; the report tells all the same."""
    answers = [Answer.of_repeats([Answer(1, "1", 1.0, True), Answer(1, "1", 1.1, True)])]
    one = VariantReport("A", 1, answers, [1.0], Limits())
    assert (one.correct, one.unstable, one.violations()) == (1, 1, [])
    assert "1 of them not the same in every repeat" in one.summary()


def test_what_is_not_a_number_is_the_same_in_every_repeat() -> None:
    """It differs from itself only where numbers are compared, and JSON has no word for it."""
    nan = float("nan")
    answer = Answer.of_repeats([Answer(1, "1", nan, False), Answer(1, "1", float("nan"), False)])
    assert answer.stable
    assert json.dumps(answer.as_json(repeated=True), allow_nan=False)


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
        "maximum_p50_latency_ms": None,
        "maximum_latency_ms": None,
        "maximum_p99_latency_ms": None,
        "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0},
        "repeats": 1,
        "predictions": [
            {"record": 1, "label": "setosa", "prediction": "setosa", "correct": True},
            {"record": 2, "label": "setosa", "prediction": "virginica", "correct": False},
        ],
        "variants": [
            {
                "variant": "AllTraffic",
                "records": 2,
                "correct": 1,
                "accuracy": 0.5,
                "unstable": 0,
                "latency_ms": {"p50": 1.0, "p95": 2.0, "p99": 2.0, "max": 2.0},
                "violations": [],
                "passed": True,
            }
        ],
        "violations": [],
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


def test_a_long_report_keeps_the_unstable_answers() -> None:
    """They are worth more than those that were right each time."""
    answers = [Answer.of_repeats([Answer(number, "1", 1.0, True)] * 2) for number in range(1, 5)]
    answers[2] = Answer.of_repeats([Answer(3, "1", 1.0, True), Answer(3, "1", 1.1, True)])
    one = VariantReport("A", 4, answers, [1.0], Limits())
    listed = SmokeTestReport("iris", [one], repeats=2).as_json(maximum_predictions=1)["predictions"]
    assert [(entry["record"], entry["stable"]) for entry in listed] == [(3, False)]


def test_a_whole_report_is_not_cut() -> None:
    """Where there is room, every prediction is listed."""
    assert len(report(100, 2).as_json()["predictions"]) == 102


@pytest.mark.parametrize(("percent", "value"), [(50, 2.0), (95, 4.0), (25, 1.0), (1, 1.0), (100, 4.0)])
def test_percentiles_are_values_that_were_measured(percent: float, value: float) -> None:
    """Nearest rank: no value is made up between two measurements."""
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value
