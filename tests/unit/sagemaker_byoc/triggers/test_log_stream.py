"""Many waits that follow their jobs' logs inside one triggerer."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from contextlib import AsyncExitStack
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.triggers import log_reader
from sagemaker_byoc.triggers.log_stream import LogFollow, follow_log
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws
from tests.support.line_log import LineLog
from tests.support.virtual_time import BEGIN_MS, run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fake_logs import FakeLogs

CONNECTION = AwsConnection(None)
SINCE = datetime.fromtimestamp(BEGIN_MS / 1000, timezone.utc)


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS, with its clients made: botocore has deadlines of its own that virtual time must not touch."""
    with fake_aws() as aws:
        CONNECTION.client("logs")
        CONNECTION.client("sagemaker")
        yield aws


class Waits:
    """Waits that follow logs: job ``job-<n>`` and its task's log for each number."""

    def __init__(self) -> None:
        self.logs: list[LineLog] = []
        self.follows: list[LogFollow] = []
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Waits:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def begin(self, count: int) -> None:
        """Let so many more waits begin."""
        for _ in range(count):
            log = LineLog()
            following = follow_log(CONNECTION, f"job-{len(self.logs)}", since=SINCE, log=log.log)
            self.follows.append(await self._stack.enter_async_context(following))
            self.logs.append(log)

    @property
    def lines(self) -> list[list[str]]:
        """What each wait's log shows."""
        return [log.lines for log in self.logs]


def now_ms() -> int:
    """Return the virtual time of day."""
    return time.time_ns() // 1_000_000


def test_lines_are_told_while_the_job_is_waited_for(logs: FakeLogs) -> None:
    """Within one pause of five seconds, give or take."""

    async def wait() -> None:
        async with Waits() as waits:
            await waits.begin(1)
            for second in range(12):
                logs.write("job-0", f"second {second}")
                await asyncio.sleep(1)
            assert len(waits.lines[0]) >= 6
            await waits.follows[0].finish(now_ms() - 60_000)
            assert waits.lines == [[f"algo-1: second {second}" for second in range(12)]]

    run_in_virtual_time(wait())


def test_a_thousand_quiet_waits_cost_a_few_calls_a_minute(logs: FakeLogs) -> None:
    """Calls grow with lines, not with jobs: at most six a minute, and two once nothing has happened for a while."""

    async def wait() -> None:
        async with Waits() as waits:
            await waits.begin(1_000)
            await asyncio.sleep(60)
            assert len(logs.calls) <= 8
            await asyncio.sleep(600)
            assert len(logs.calls) <= 8 + 25
            logs.write("job-500", "alive")
            await asyncio.sleep(35)
            assert waits.lines[500] == ["algo-1: alive"]

    run_in_virtual_time(wait())


def test_each_line_comes_once_to_its_own_wait(logs: FakeLogs) -> None:
    """Waits that come and go, late lines and ends read apart from the rest leave nothing out and double nothing."""

    async def wait() -> None:
        async with Waits() as waits:
            for second in range(90):
                if second % 10 == 0:
                    await waits.begin(1)
                for number in range(len(waits.logs)):
                    logs.write(f"job-{number}", f"{second}", late_ms=(second * number) % 7 * 1_000)
                await asyncio.sleep(1)
            await asyncio.gather(*(follow.finish(now_ms()) for follow in waits.follows))
            await asyncio.sleep(10)
            await asyncio.gather(*(follow.finish(now_ms()) for follow in waits.follows))
            seconds = [sorted(int(line.rpartition(" ")[2]) for line in lines) for lines in waits.lines]
            assert seconds == [list(range(10 * number, 90)) for number in range(9)]

    run_in_virtual_time(wait())


def test_the_last_words_come_before_the_end_of_the_wait(logs: FakeLogs) -> None:
    """Although nothing was to be read for half a minute, the end is read at once, and again a second later."""

    async def wait() -> None:
        async with Waits() as waits:
            await waits.begin(1_000)
            await asyncio.sleep(300)
            logs.write("job-3", "traceback")
            logs.write("job-3", "error", late_ms=900)
            before, began_ms = len(logs.calls), now_ms()
            await waits.follows[3].finish(began_ms)
            assert waits.lines[3] == ["algo-1: traceback", "algo-1: error"]
            assert now_ms() - began_ms <= 1_100
            assert sum("job-3/" in str(call) for call in logs.calls[before:]) == 2

    run_in_virtual_time(wait())


def test_jobs_that_end_together_are_read_together(logs: FakeLogs) -> None:
    """A hundred ends cost a few calls and are delayed by little more than one."""

    async def wait() -> None:
        async with Waits() as waits:
            await waits.begin(100)
            await asyncio.sleep(300)
            for number in range(100):
                logs.write(f"job-{number}", "done")
            before, began_ms = len(logs.calls), now_ms()
            await asyncio.gather(*(follow.finish(began_ms) for follow in waits.follows))
            assert waits.lines == [["algo-1: done"]] * 100
            assert now_ms() - began_ms <= 2_000
            assert len(logs.calls) - before <= 6

    run_in_virtual_time(wait())


def test_a_reading_from_before_the_end_is_not_the_last_one(logs: FakeLogs) -> None:
    """CloudWatch takes a second to answer a look that began before the last words were written."""

    async def wait() -> None:
        loop: Any = asyncio.get_running_loop()
        async with Waits() as waits:
            await waits.begin(1)
            await asyncio.sleep(60)
            loop.call_seconds, before = 1.0, len(logs.calls)
            while len(logs.calls) == before:
                await asyncio.sleep(0.1)
            logs.write("job-0", "last words")
            await waits.follows[0].finish(now_ms() - 60_000)
            assert waits.lines == [["algo-1: last words"]]

    run_in_virtual_time(wait())


def test_jobs_that_end_together_in_a_full_group_lose_nothing(logs: FakeLogs) -> None:
    """What one reading for all cannot reach is read for each."""

    async def wait() -> None:
        async with Waits() as waits:
            await waits.begin(6)
            await asyncio.sleep(1)
            logs.page_size = 10
            logs.write("somebody-else", *("x" for _ in range(500)))
            await asyncio.sleep(0.5)
            for number in range(6):
                logs.write(f"job-{number}", "last words")
            await asyncio.gather(*(follow.finish(now_ms() - 60_000) for follow in waits.follows))
            assert waits.lines == [["algo-1: last words"]] * 6

    run_in_virtual_time(wait())


def test_a_group_that_is_too_full_is_read_job_by_job(logs: FakeLogs, aws: FakeAws) -> None:
    """Somebody else's flood in the same group costs no line, no end and not more than the budget of calls."""
    logs.page_size = 10

    async def flood() -> None:
        while True:
            logs.write("somebody-else", *("x" for _ in range(50)))
            await asyncio.sleep(1)

    async def wait() -> None:
        flooding = asyncio.create_task(flood())
        async with Waits() as waits:
            await waits.begin(10)
            for second in range(120):
                if second % 10 == 0:
                    for number in range(10):
                        logs.write(f"job-{number}", f"{second}")
                await asyncio.sleep(1)
            assert all(len(lines) >= 9 for lines in waits.lines)
            assert len(logs.calls) <= 120 + 10
            began_ms = now_ms()
            await waits.follows[0].finish(began_ms - 60_000)
            assert now_ms() - began_ms < 1_000
            assert waits.lines[0] == [f"algo-1: {second}" for second in range(0, 120, 10)]
        flooding.cancel()
        await asyncio.gather(flooding, return_exceptions=True)

    run_in_virtual_time(wait())


def test_a_log_that_may_not_be_read_is_said_once_to_each_wait(logs: FakeLogs) -> None:
    """Also to a wait that begins later; then there is silence, no call for ten minutes and no delay at the end."""
    logs.refusal = AwsSays("AccessDeniedException", "not authorized")

    async def wait() -> None:
        async with Waits() as waits:
            await waits.begin(5)
            await asyncio.sleep(30)
            await waits.begin(1)
            await asyncio.sleep(500)
            assert len(logs.calls) == 1
            began_ms = now_ms()
            await waits.follows[0].finish(began_ms)
            assert now_ms() - began_ms <= 10
            logs.refusal = None
            logs.write("job-5", "allowed by now")
            await asyncio.sleep(120)
            assert waits.lines[5] == ["algo-1: allowed by now"]
            for log in waits.logs:
                [warning] = log.warnings
                assert "logs:FilterLogEvents" in warning

    run_in_virtual_time(wait())


def test_throttling_is_waited_out_by_all_together(logs: FakeLogs, caplog: pytest.LogCaptureFixture) -> None:
    """Pauses grow for all waits at once, one line says so in the triggerer's log, and no line is lost."""
    logs.refusal = AwsSays("ThrottlingException", "Rate exceeded")

    async def wait() -> None:
        async with Waits() as waits:
            await waits.begin(50)
            for number in range(50):
                logs.write(f"job-{number}", "meanwhile")
            await asyncio.sleep(600)
            assert len(logs.calls) <= 12
            began_ms = now_ms()
            await waits.follows[0].finish(began_ms)
            assert 5_000 <= now_ms() - began_ms <= 5_010
            [warning] = waits.logs[0].warnings
            assert "could not be read in time" in warning
            logs.refusal = None
            await asyncio.sleep(150)
            assert waits.lines == [["algo-1: meanwhile"]] * 50
            assert not any(log.warnings for log in waits.logs[1:])

    with caplog.at_level(logging.INFO, logger=log_reader.__name__):
        run_in_virtual_time(wait())
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


def test_a_reading_that_breaks_in_any_way_does_not_break_the_wait(
    logs: FakeLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as a connection that cannot be made; it is tried again like any call that failed."""

    def fails(*_: object) -> Any:
        raise ValueError

    async def wait() -> None:
        async with Waits() as waits:
            with monkeypatch.context() as broken:
                broken.setattr(AwsConnection, "client", fails)
                await waits.begin(2)
                await asyncio.sleep(10)
            logs.write("job-1", "here we are")
            await asyncio.sleep(20)
            assert waits.lines == [[], ["algo-1: here we are"]]

    run_in_virtual_time(wait())


def test_lines_are_logged_from_the_context_of_their_wait(logs: FakeLogs) -> None:
    """Airflow finds a task's log by what the trigger's context holds; the reader itself has none of it."""
    whose: contextvars.ContextVar[str] = contextvars.ContextVar("whose", default="nobody")
    seen: dict[str, set[str]] = {}
    readers: list[str] = []

    class Remembers(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.setdefault(whose.get(), set()).add(record.getMessage())

    answer = logs.filter

    def filter_(**request: Any) -> dict[str, Any]:
        readers.append(whose.get())
        return answer(**request)

    logs.aws.on("FilterLogEvents", filter_)

    async def wait(number: int) -> None:
        whose.set(f"job-{number}")
        log: Any = logging.Logger("lines")
        log.addHandler(Remembers())
        async with follow_log(CONNECTION, f"job-{number}", since=SINCE, log=log) as follow:
            logs.write(f"job-{number}", f"of job-{number}")
            await asyncio.sleep(10)
            await follow.finish()

    async def both() -> None:
        await asyncio.gather(wait(0), wait(1))

    run_in_virtual_time(both())
    assert seen == {f"job-{number}": {f"algo-1: of job-{number}"} for number in range(2)}
    assert set(readers) == {"nobody"}


@pytest.mark.parametrize("count", [1, 5])
def test_nothing_runs_on_after_the_last_wait(logs: FakeLogs, count: int) -> None:
    """A wait that is cancelled, as when a person clears the task, takes its part along; the last one the reader."""

    async def wait(number: int) -> None:
        log: Any = LineLog().log
        async with follow_log(CONNECTION, f"job-{number}", since=SINCE, log=log):
            await asyncio.Event().wait()

    async def killed() -> None:
        waits = [asyncio.create_task(wait(number)) for number in range(count)]
        await asyncio.sleep(20)
        for task in waits:
            task.cancel()
        assert await asyncio.gather(*waits, return_exceptions=True)
        calls = len(logs.calls)
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        await asyncio.sleep(100)
        assert len(logs.calls) == calls

    run_in_virtual_time(killed())


def test_connections_are_read_apart(logs: FakeLogs) -> None:
    """Another region is another log; two waits of one connection share a reader, also when they name it anew."""

    async def wait() -> None:
        async with AsyncExitStack() as stack:
            readers = [
                (
                    await stack.enter_async_context(
                        follow_log(AwsConnection(None, region), "job", since=SINCE, log=LineLog().log)
                    )
                )._reader
                for region in ("eu-west-1", "eu-west-1", "us-east-1")
            ]
            assert readers[0] is readers[1]
            assert readers[0] is not readers[2]
        await asyncio.sleep(0)

    run_in_virtual_time(wait())
