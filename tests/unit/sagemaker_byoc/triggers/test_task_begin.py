"""What a trigger does for its task beside the wait, and in whose turn."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from airflow.sdk.execution_time.comms import OKResponse, SetXCom

from sagemaker_byoc.triggers.task_begin import AT_ONCE, beginning

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractAsyncContextManager


class SlowAirflow:
    """The pipe to an Airflow that takes each question when it is let, and remembers which task's it was."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.asking = self.most_at_once = 0
        self.free = asyncio.Event()

    async def asend(self, question: SetXCom) -> OKResponse:
        """Take one question."""
        self.asking += 1
        self.most_at_once = max(self.most_at_once, self.asking)
        await self.free.wait()
        self.asking -= 1
        self.asked.append(question.task_id)
        return OKResponse(ok=True)


@contextmanager
def slow_airflow() -> Iterator[SlowAirflow]:
    """Connect the triggerer to such an Airflow."""
    airflow = SlowAirflow()
    with mock.patch("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", airflow, create=True):
        yield airflow


def begin(name: str) -> AbstractAsyncContextManager[None]:
    """Begin the wait of a task that a worker has seen, so that all there is to do is to note its try."""
    facts = {"dag_id": "retrain", "run_id": "run", "task_id": name, "map_index": -1, "try_number": 1}
    trigger: Any = SimpleNamespace(task=None, task_instance=SimpleNamespace(**facts))
    return beginning(trigger, _make_no_buttons, notes_try=True)


def _make_no_buttons(task: dict[str, Any]) -> None:
    raise AssertionError("a worker has made them")


async def wait_for_ever(name: str) -> None:
    """Wait until cancelled."""
    async with begin(name):
        await asyncio.Event().wait()


async def cancelled(*waits: asyncio.Task[None]) -> None:
    """Have waits ended as a triggerer ends them that goes down."""
    for each in waits:
        each.cancel()
    await asyncio.gather(*waits, return_exceptions=True)


async def turns(count: int = 5) -> None:
    """Let everything run that can."""
    for _ in range(count):
        await asyncio.sleep(0)


def test_waits_watch_at_once_and_few_ask_airflow_at_a_time() -> None:
    """Ten thousand waits would otherwise stand in one queue at Airflow before they see anything."""

    async def scene(airflow: SlowAirflow) -> int:
        watching = 0

        async def wait(name: str) -> None:
            nonlocal watching
            async with begin(name):
                watching += 1
                await asyncio.Event().wait()

        waits = [asyncio.create_task(wait(str(number))) for number in range(50)]
        await turns()
        seen = watching
        airflow.free.set()
        while len(airflow.asked) < len(waits):
            await asyncio.sleep(0)
        await cancelled(*waits)
        return seen

    with slow_airflow() as airflow:
        watching = asyncio.run(scene(airflow))
    assert watching == 50
    assert airflow.most_at_once == AT_ONCE
    assert sorted(map(int, airflow.asked)) == list(range(50))


def test_an_end_does_not_stand_behind_those_that_begin() -> None:
    """Its own begin is done at once, and before it: an earlier try's result would otherwise be taken for this one's."""

    async def scene(airflow: SlowAirflow) -> list[str]:
        waits = [asyncio.create_task(wait_for_ever(str(number))) for number in range(50)]
        await turns()

        async def end() -> list[str]:
            async with begin("ends"):
                await turns()
            return list(airflow.asked)

        ending = asyncio.create_task(end())
        await turns(20)
        assert not ending.done(), "the begin is part of the end"
        airflow.free.set()
        asked_before_the_end = await ending
        await cancelled(*waits)
        return asked_before_the_end

    with slow_airflow() as airflow:
        asked = asyncio.run(scene(airflow))
    assert "ends" in asked
    assert len(asked) <= AT_ONCE + 1


def test_the_begin_is_done_once_when_the_wait_is_over() -> None:
    """Also when the wait fails: the task then ends, too."""

    async def ends_well(airflow: SlowAirflow) -> None:
        airflow.free.set()
        async with begin("wait"):
            await turns()

    async def fails(airflow: SlowAirflow) -> None:
        airflow.free.set()
        with pytest.raises(LookupError):
            async with begin("wait"):
                await asyncio.wait_for(_fail(), None)

    for scene in (ends_well, fails):
        with slow_airflow() as airflow:
            asyncio.run(scene(airflow))
        assert airflow.asked == ["wait"]


async def _fail() -> None:
    raise LookupError


def test_a_wait_that_moves_away_leaves_its_begin() -> None:
    """The triggerer that goes on with the wait will do it."""

    async def scene(airflow: SlowAirflow) -> None:
        waiting = asyncio.create_task(wait_for_ever("wait"))
        await turns()
        await cancelled(waiting)
        airflow.free.set()
        await turns()

    with slow_airflow() as airflow:
        asyncio.run(scene(airflow))
    assert airflow.asked == []
