"""FilterLogEvents of the local AWS: prefix, order and pages as AWS's model of it says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.support.local_cloud import local_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

GROUP = "/aws/sagemaker/TrainingJobs"
BEGIN_MS = time.time_ns() // 1_000_000 - 3_600_000
"""An hour ago, since PutLogEvents refuses events older than two weeks."""


@pytest.fixture(scope="module")
def logs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """CloudWatch Logs with two hosts of a job that write in turns, twelve lines each, and another job's line."""
    with local_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        client = cloud.client("logs")
        client.create_log_group(logGroupName=GROUP)
        write(client, "job/algo-2-1", [(2 * index + 1, f"2.{index}") for index in range(12)])
        write(client, "job/algo-1-1", [(2 * index, f"1.{index}") for index in range(12)])
        write(client, "job-2/algo-1-1", [(5, "another job")])
        yield client


def write(client: Any, stream: str, lines: list[tuple[int, str]]) -> None:
    """Write lines, each with its time in milliseconds after the beginning."""
    client.create_log_stream(logGroupName=GROUP, logStreamName=stream)
    events = [{"timestamp": BEGIN_MS + at, "message": text} for at, text in lines]
    client.put_log_events(logGroupName=GROUP, logStreamName=stream, logEvents=events)


def messages(client: Any, **request: Any) -> list[str]:
    """Return the messages of all pages."""
    found: list[str] = []
    request = {"logGroupName": GROUP, "startTime": BEGIN_MS, **request}
    while True:
        answer = client.filter_log_events(**request)
        found += [event["message"] for event in answer["events"]]
        if "nextToken" not in answer:
            return found
        request["nextToken"] = answer["nextToken"]


IN_TURNS = [f"{host}.{index}" for index in range(12) for host in (1, 2)]


@pytest.mark.parametrize("limit", [3, 10_000])
def test_streams_are_interleaved_by_time_over_all_pages(logs: Any, limit: int) -> None:
    """A page that ends in the middle of a moment or a stream loses nothing."""
    assert messages(logs, logStreamNamePrefix="job/", limit=limit) == IN_TURNS


@pytest.mark.parametrize("limit", [3, 10_000])
def test_the_newest_come_first_when_asked_for(logs: Any, limit: int) -> None:
    """The token keeps the direction."""
    request = {"logStreamNamePrefix": "job/", "startFromHead": False, "limit": limit}
    assert messages(logs, **request) == IN_TURNS[::-1]


def test_only_streams_of_the_prefix_are_read(logs: Any) -> None:
    """A job whose name begins like another's is not mixed up with it, and no stream means no event."""
    assert messages(logs, logStreamNamePrefix="job-2/") == ["another job"]
    assert messages(logs, logStreamNamePrefix="job-3/") == []
    assert len(messages(logs)) == 25


def test_both_ends_of_the_time_range_are_included(logs: Any) -> None:
    """Events before the start or later than the end are not returned; that is all the model says."""
    request = {"logStreamNamePrefix": "job/", "startTime": BEGIN_MS + 2, "endTime": BEGIN_MS + 4}
    assert messages(logs, **request) == ["1.1", "2.1", "1.2"]


def test_a_page_holds_no_more_than_a_megabyte(logs: Any) -> None:
    """Large lines make several pages, each with one line at least."""
    write(logs, "large/algo-1-1", [(index, "x" * 200_000) for index in range(4)])
    write(logs, "large/algo-2-1", [(index, "x" * 200_000) for index in range(4)])
    answer = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="large/", startTime=BEGIN_MS)
    assert len(answer["events"]) == 5
    assert len(messages(logs, logStreamNamePrefix="large/")) == 8


@pytest.mark.parametrize(
    "request_",
    [
        {"logStreamNamePrefix": "job/", "logStreamNames": ["job/algo-1-1"]},
        {"startFromHead": False, "startTime": 1},
        {"nextToken": "made up"},
    ],
)
def test_what_the_model_refuses_is_refused(logs: Any, request_: dict[str, Any]) -> None:
    """Two ways to choose streams, the newest first from before 2024, a token that nobody gave."""
    with pytest.raises(ClientError, match="InvalidParameterException"):
        messages(logs, **request_)


def test_a_group_that_is_not_there_is_refused(logs: Any) -> None:
    """The first job of an account finds no group."""
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.filter_log_events(logGroupName="nowhere", logStreamNamePrefix="job/")
