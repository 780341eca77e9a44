"""Reading the container's log."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.log import LogHook
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """CloudWatch with two streams of one job, written in turns."""
    with fake_aws() as aws:
        aws.on("DescribeLogStreams", {"logStreams": [{"logStreamName": f"job/algo-{host}"} for host in (1, 2)]})
        aws.on("GetLogEvents", events)
        yield aws


def events(**request: Any) -> dict[str, Any]:
    """Answer GetLogEvents: algo-1 writes at even times, algo-2 at odd ones."""
    host = int(request["logStreamName"][-1])
    lines = [{"timestamp": 2 * index + host - 1, "message": f"algo-{host} line {index}"} for index in range(100)]
    return {"events": lines[-request["limit"] :]}


def tail(**changes: Any) -> list[str]:
    """Read the last four lines."""
    settings: dict[str, Any] = {"group": "/aws/sagemaker/TrainingJobs", "stream_prefix": "job/", "lines": 4} | changes
    return LogHook(AwsConnection(None)).tail(**settings)


def test_the_newest_lines_of_all_hosts_come_in_order(aws: FakeAws) -> None:
    """Streams are merged by time, and only the end of each is read."""
    assert tail() == ["algo-1 line 98", "algo-2 line 98", "algo-1 line 99", "algo-2 line 99"]
    assert all(request["limit"] == 4 and request["startFromHead"] is False for request in aws.asked("GetLogEvents"))


def test_of_many_streams_the_last_five_are_read(aws: FakeAws) -> None:
    """A cluster of a hundred hosts does not make a hundred calls."""
    streams = [{"logStreamName": f"job/algo-{index}"} for index in range(10)]
    aws.on("DescribeLogStreams", {"logStreams": streams})
    tail()
    assert [request["logStreamName"] for request in aws.asked("GetLogEvents")] == [
        f"job/algo-{index}" for index in range(5, 10)
    ]


def test_every_page_of_streams_is_seen(aws: FakeAws) -> None:
    """CloudWatch gives fifty names at a time."""

    def page(**request: Any) -> dict[str, Any]:
        if "nextToken" in request:
            return {"logStreams": [{"logStreamName": "job/algo-2"}]}
        return {"logStreams": [{"logStreamName": "job/algo-1"}], "nextToken": "more"}

    aws.on("DescribeLogStreams", page)
    assert len(tail()) == 4
    assert len(aws.asked("GetLogEvents")) == 2


def test_without_a_prefix_the_streams_written_last_are_read(aws: FakeAws) -> None:
    """CloudWatch orders by time only when no prefix is given."""
    tail(stream_prefix="")
    [request] = aws.asked("DescribeLogStreams")
    assert request["orderBy"] == "LastEventTime"
    assert request["descending"] is True


def test_streams_from_before_are_left_out(aws: FakeAws) -> None:
    """An endpoint's group also holds what earlier fleets wrote; the limit of five counts what is left."""
    moment = datetime(2026, 1, 1, tzinfo=timezone.utc)
    at = int(moment.timestamp() * 1000)
    streams = [{"logStreamName": f"old/{index}", "creationTime": at - 1} for index in range(7)]
    streams += [{"logStreamName": f"new/{index}", "creationTime": at + index} for index in range(2)]
    aws.on("DescribeLogStreams", {"logStreams": streams})
    tail(stream_prefix="", since=moment)
    assert [request["logStreamName"] for request in aws.asked("GetLogEvents")] == ["new/0", "new/1"]


@pytest.mark.parametrize("refused", ["DescribeLogStreams", "GetLogEvents"])
def test_last_words_that_cannot_be_read_say_why(aws: FakeAws, refused: str) -> None:
    """Whoever asks has a failure to tell, which must not be lost for a missing permission."""
    aws.on(refused, AwsSays("AccessDeniedException", "not authorized to read"))
    [line] = LogHook(AwsConnection(None)).last_words("group", "job/")
    assert line.startswith("(the log could not be read: ")
    assert "not authorized to read" in line


def test_a_group_that_was_never_written_is_empty(aws: FakeAws) -> None:
    """The first job of an account may fail before it writes anything."""
    aws.on("DescribeLogStreams", AwsSays("ResourceNotFoundException", "The specified log group does not exist."))
    assert tail() == []
