"""Calls at an agreed pace."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.paced_client import PacedClient
from tests.support.fake_aws import AwsSays

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fake_aws import FakeAws

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model/m"


class Clock:
    """A clock on which only pauses take time."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 0.0
        monkeypatch.setattr(time, "monotonic", lambda: self.seconds)
        monkeypatch.setattr(time, "sleep", self._sleep)

    def _sleep(self, seconds: float) -> None:
        self.seconds += seconds


def test_calls_are_as_fast_as_agreed(aws: FakeAws, monkeypatch: pytest.MonkeyPatch) -> None:
    """But for the first few; a page of training jobs counts as five calls."""
    aws.on("ListTags", {"Tags": []})
    aws.on("ListTrainingJobs", {"TrainingJobSummaries": []})
    clock = Clock(monkeypatch)
    client = PacedClient(AwsConnection(None), 2.0)
    for _ in range(25):
        client.tags(ARN)
    assert clock.seconds == pytest.approx((25 - 5) / 2.0)
    before = clock.seconds
    for _ in range(4):
        client.list("list_training_jobs", "TrainingJobSummaries")
    assert clock.seconds - before >= 3 * 5 / 2.0


def test_all_pages_of_tags_are_read(aws: FakeAws) -> None:
    """Of something that is gone there are none."""

    def answer(**asked: Any) -> dict[str, Any]:
        if "NextToken" in asked:
            return {"Tags": [{"Key": "b", "Value": "2"}]}
        return {"Tags": [{"Key": "a", "Value": "1"}], "NextToken": "more"}

    aws.on("ListTags", answer)
    client = PacedClient(AwsConnection(None), 1e6)
    assert client.tags(ARN) == {"a": "1", "b": "2"}
    aws.on("ListTags", AwsSays("ValidationException", "Requested resource not found."))
    assert client.tags(ARN) is None


def test_a_denial_is_not_taken_for_something_that_is_gone(aws: FakeAws) -> None:
    """Whatever its text says."""
    aws.on("DescribeModel", AwsSays("AccessDeniedException", "an identity-based policy was not found"))
    with pytest.raises(ClientError, match="AccessDenied"):
        PacedClient(AwsConnection(None), 1e6).ask("describe_model", ModelName="m")


def test_the_time_of_the_first_answer_is_awss(aws: FakeAws) -> None:
    """What changes while a long list is read belongs to the next list of changes."""
    pages: Iterator[dict[str, Any]] = iter([{"Models": [], "NextToken": "2"}, {"Models": []}])
    aws.date = datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)

    def answer(**_: Any) -> dict[str, Any]:
        return next(pages)

    aws.on("ListModels", answer)
    client = PacedClient(AwsConnection(None), 1e6)
    client.list("list_models", "Models")
    first = client.first_answer
    aws.date = datetime(2026, 1, 1, 13, 0, tzinfo=timezone.utc)
    pages = iter([{"Models": []}])
    client.list("list_models", "Models")
    assert first == client.first_answer == datetime(2026, 1, 1, 12, 0, tzinfo=timezone.utc)
