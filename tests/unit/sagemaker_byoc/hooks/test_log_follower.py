"""Following a log from a worker."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.log_follower import LogFollower
from tests.support.fake_aws import AwsSays
from tests.support.line_log import LineLog

if TYPE_CHECKING:
    from tests.support.fake_logs import FakeLogs


class Clock:
    """The machine's clocks, moved by hand and by sleeping."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds = 1_000.0
        monkeypatch.setattr("time.monotonic", lambda: self.seconds)
        monkeypatch.setattr("time.time_ns", lambda: 1_800_000_000_000_000_000 + round(self.seconds * 1e9))
        monkeypatch.setattr("time.sleep", self.sleep)

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
        self.seconds += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, logs: FakeLogs) -> Clock:
    """The clocks; a boto3 client, which has deadlines of its own, is made before."""
    return Clock(monkeypatch)


@pytest.fixture
def log() -> LineLog:
    """The task's log."""
    return LineLog()


def follower(log: LineLog) -> LogFollower:
    """Follow a job from now on."""
    since = datetime.fromtimestamp(time.time_ns() / 1e9, timezone.utc)
    return LogFollower(AwsConnection(None), "job", since=since, log=log.log)


def test_lines_are_told_between_two_looks_and_at_the_end(logs: FakeLogs, clock: Clock, log: LineLog) -> None:
    """The last look sees what was written since, and another one what CloudWatch shows a second later."""
    following = follower(log)
    logs.write("job", "first")
    following.read()
    assert log.lines == ["algo-1: first"]
    logs.write("job", "second")
    logs.write("job", "last", late_ms=800)
    following.finish(time.time_ns() // 1_000_000)
    assert log.lines == ["algo-1: first", "algo-1: second", "algo-1: last"]


def test_a_job_that_ended_a_while_ago_is_not_waited_for(logs: FakeLogs, clock: Clock, log: LineLog) -> None:
    """Everything is there after one look."""
    following = follower(log)
    began = clock.seconds
    following.finish(time.time_ns() // 1_000_000 - 60_000)
    assert clock.seconds == began
    assert len(logs.calls) == 1


def test_a_quiet_log_is_read_ever_less_often(logs: FakeLogs, clock: Clock, log: LineLog) -> None:
    """However often the job itself is looked at: two or three calls a minute, and six while lines come."""
    following = follower(log)
    for _ in range(600):
        following.read()
        clock.sleep(1)
    assert 20 <= len(logs.calls) <= 26
    before = len(logs.calls)
    for second in range(600):
        logs.write("job", f"{second}")
        following.read()
        clock.sleep(1)
    assert 90 <= len(logs.calls) - before <= 125


def test_a_log_that_may_not_be_read_is_said_once(logs: FakeLogs, clock: Clock, log: LineLog) -> None:
    """The next attempt is ten minutes later, and the end is not delayed."""
    following = follower(log)
    logs.refusal = AwsSays("AccessDeniedException", "no")
    for _ in range(599):
        following.read()
        clock.sleep(1)
    assert len(logs.calls) == 1
    clock.sleep(2)
    following.read()
    following.finish()
    assert len(logs.calls) == 3
    [warning] = log.warnings
    assert "logs:FilterLogEvents" in warning


def test_a_passing_failure_is_said_once_and_fails_nothing(logs: FakeLogs, clock: Clock, log: LineLog) -> None:
    """Pauses grow up to two minutes; afterwards no line is missing."""
    following = follower(log)
    logs.refusal = AwsSays("ThrottlingException", "Rate exceeded")
    logs.write("job", "meanwhile")
    for _ in range(600):
        following.read()
        clock.sleep(1)
    assert len(logs.calls) <= 12
    [warning] = log.warnings
    assert "Rate exceeded" in warning
    logs.refusal = None
    following.finish()
    assert log.lines == ["algo-1: meanwhile"]
