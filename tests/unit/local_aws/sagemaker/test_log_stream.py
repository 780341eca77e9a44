"""Batches of log lines within the limits of PutLogEvents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.exceptions

from local_aws.sagemaker.log_stream import LogStream
from tests.support.fake_clients import FakeCloud

if TYPE_CHECKING:
    import pytest


class _FakeLogs:
    """CloudWatch Logs that enforces the documented limits."""

    def __init__(self) -> None:
        self.created: list[str] = []
        self.batches: list[list[dict[str, Any]]] = []
        self.refusals = 0

    def create_log_group(self, *, logGroupName: str) -> None:  # noqa: N803 - boto3's names
        """Say that it is there already, as botocore does whose threads have made their error classes at once."""
        code = {"Error": {"Code": "ResourceAlreadyExistsException", "Message": "exists"}}
        raise botocore.exceptions.ClientError(code, "CreateLogGroup")

    def create_log_stream(self, *, logGroupName: str, logStreamName: str) -> None:  # noqa: N803 - boto3's names
        """Record it."""
        self.created.append(f"{logGroupName} {logStreamName}")

    def put_log_events(self, *, logEvents: list[dict[str, Any]], **_: Any) -> None:  # noqa: N803 - boto3's names
        """Check the limits, then record the batch."""
        if self.refusals:
            self.refusals -= 1
            raise botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1")
        assert len(logEvents) <= 10_000
        assert sum(len(event["message"].encode()) + 26 for event in logEvents) <= 1_048_576
        assert all(0 < len(event["message"].encode()) <= 262_144 - 26 for event in logEvents)
        times = [event["timestamp"] for event in logEvents]
        assert times == sorted(times)
        self.batches.append(logEvents)

    def messages(self) -> list[str]:
        """Return what was written, in order."""
        return [event["message"] for batch in self.batches for event in batch]


def _written(lines: list[str]) -> _FakeLogs:
    logs = _FakeLogs()
    stream = LogStream(FakeCloud(logs=logs), "group", "job/algo-1-1")  # type: ignore[arg-type]
    for line in lines:
        stream.write(line)
    stream.close()
    return logs


def test_lines_are_written_in_order_and_in_few_calls() -> None:
    """Ten thousand lines and more take a handful of calls and lose nothing."""
    lines = [f"line {number}" for number in range(25_000)]

    logs = _written(lines)

    assert logs.messages() == lines
    assert len(logs.batches) <= 10
    assert logs.created == ["group job/algo-1-1"]


def test_a_silent_container_has_no_stream() -> None:
    """Nothing is created before the first line, and empty lines are none."""
    assert _written([]).created == []
    assert _written(["", ""]).created == []


def test_a_long_line_is_cut_between_characters() -> None:
    """The pieces fit the limit and together are the line."""
    line = "€" * 300_000

    messages = _written([line]).messages()

    assert len(messages) == 4
    assert "".join(messages) == line


def test_many_large_lines_are_spread_over_batches() -> None:
    """No batch is larger than a mebibyte."""
    lines = ["x" * 200_000] * 12

    logs = _written(lines)

    assert logs.messages() == lines
    assert len(logs.batches) >= 3


def test_half_a_surrogate_pair_is_replaced() -> None:
    """Text that is not Unicode does not end the log."""
    assert _written(["a\ud800b", "c"]).messages() == ["a?b", "c"]


def test_a_refused_batch_does_not_end_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """The loss is logged and later lines still come."""
    logs = _FakeLogs()
    logs.refusals = 1
    stream = LogStream(FakeCloud(logs=logs), "group", "s")  # type: ignore[arg-type]
    for number in range(10_001):
        stream.write(str(number))
    stream.close()

    assert logs.messages()[-1] == "10000"
    assert "log lines of s were lost" in caplog.text


def test_closing_twice_is_harmless() -> None:
    """The second close finds nothing to do."""
    logs = _FakeLogs()
    stream = LogStream(FakeCloud(logs=logs), "group", "s")  # type: ignore[arg-type]
    stream.write("once")
    stream.close()
    stream.close()

    assert logs.messages() == ["once"]
