"""Metrics in a container's output."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.metric import MetricWatch, check_definitions
from tests.support.fake_clients import FakeCloud


def _watch(cloud: FakeCloud, **definitions: str) -> MetricWatch:
    return MetricWatch(cloud, "job", [{"Name": n, "Regex": r} for n, r in definitions.items()])  # type: ignore[arg-type]


def _values(data: list[dict[str, Any]]) -> dict[str, float]:
    return {datum["MetricName"]: datum["Value"] for datum in data}


def test_the_last_match_is_final_and_all_go_to_cloudwatch() -> None:
    """The first group is the value; exponents and signs are numbers."""
    cloud = FakeCloud()
    watch = _watch(cloud, loss=r"loss=(\S+)", rate=r"rate=(\S+)")
    for line in ("loss=0.5 rate=1e-3", "loss=-0.25", "nothing", "loss=high", "loss=nan", "loss=inf"):
        watch.feed(line)
    watch.flush()

    assert _values(watch.final()) == {"loss": -0.25, "rate": 0.001}
    (call,) = cloud.calls("cloudwatch", "put_metric_data")
    assert call["Namespace"] == "/aws/sagemaker/TrainingJobs"
    assert [(datum["MetricName"], datum["Value"]) for datum in call["MetricData"]] == [
        ("loss", 0.5),
        ("rate", 0.001),
        ("loss", -0.25),
    ]
    assert call["MetricData"][0]["Dimensions"] == [{"Name": "TrainingJobName", "Value": "job"}]


def test_nothing_seen_means_nothing_sent() -> None:
    """No match, no call."""
    cloud = FakeCloud()
    watch = _watch(cloud, loss=r"loss=(\S+)")
    watch.feed("silence")
    watch.flush()

    assert watch.final() == []
    assert cloud.calls("cloudwatch", "put_metric_data") == []


def test_many_values_are_sent_in_parts() -> None:
    """CloudWatch takes at most a thousand at once."""
    cloud = FakeCloud()
    watch = _watch(cloud, n=r"n=(\d+)")
    for number in range(1_800):
        watch.feed(f"n={number}")
    watch.flush()

    sizes = [len(call["MetricData"]) for call in cloud.calls("cloudwatch", "put_metric_data")]
    assert sum(sizes) == 1_800
    assert max(sizes) <= 1_000


def test_an_expression_that_backtracks_does_not_stall_the_log() -> None:
    """It counts as no match."""
    watch = _watch(FakeCloud(), slow=r"(a|aa)+$()x")

    watch.feed("a" * 60 + "!")

    assert watch.final() == []


@pytest.mark.parametrize(
    ("expression", "fault"), [("(", "no regular expression"), ("loss", "has no capture group"), ("[", "no regular")]
)
def test_a_definition_that_cannot_work_is_refused(expression: str, fault: str) -> None:
    """The refusal names the metric and the fault."""
    with pytest.raises(AwsError, match=f"'loss'.*{fault}"):
        check_definitions([{"Name": "loss", "Regex": expression}])
