"""The rhythm of looks from within the triggerer."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.pause import JITTER
from sagemaker_byoc.triggers.watch import look_until, look_until_on_worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


def watch(looks: Iterable[Any], *, interval_seconds: float = 10.0) -> tuple[Any, list[float], mock.Mock]:
    """Watch until a look returns a number; return it, the pauses and the log."""
    script = iter(looks)
    pauses: list[float] = []
    log = mock.Mock()

    def look() -> Any:
        seen = next(script)
        if isinstance(seen, Exception):
            raise seen
        return seen

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    done: Callable[[Any], bool] = lambda seen: isinstance(seen, int)  # noqa: E731 - one expression, one use
    with mock.patch("asyncio.sleep", sleep):
        seen = asyncio.run(look_until(done, look, interval_seconds=interval_seconds, log=log))
    return seen, pauses, log


def test_each_look_comes_after_a_pause_that_varies() -> None:
    """Waits that began together do not go on asking together."""
    seen, pauses, _ = watch(["no"] * 30 + [7])
    assert seen == 7
    assert len(pauses) == 31
    assert all(10 * (1 - JITTER) <= pause <= 10 * (1 + JITTER) for pause in pauses)
    assert len(set(pauses)) > 20


def test_passing_failures_are_waited_out_with_longer_pauses() -> None:
    """Pauses double up to two minutes, are logged, and are short again after a success."""
    _, pauses, log = watch([*[ConnectionError("no route")] * 20, "no", 7])
    assert 20 * (1 - JITTER) <= pauses[1] <= 20 * (1 + JITTER)
    assert all(120 * (1 - JITTER) <= pause <= 120 * (1 + JITTER) for pause in pauses[4:21])
    assert pauses[-1] <= 10 * (1 + JITTER)
    assert log.warning.call_count == 20


def test_an_interval_above_two_minutes_is_kept() -> None:
    """A failure does not make a patient wait impatient."""
    _, pauses, _ = watch([ConnectionError("no route"), 7], interval_seconds=600)
    assert min(pauses) >= 600 * (1 - JITTER)


def test_a_lasting_failure_ends_the_wait() -> None:
    """What would fail again is raised at once."""
    with pytest.raises(RequestError):
        watch([RequestError("field", "given", "allowed")])


def test_a_wait_on_a_worker_has_the_same_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """It looks at once; passing failures are logged and make the pauses longer, lasting ones end it."""
    script: list[Any] = ["no", ConnectionError("no route"), ConnectionError("no route"), 7]
    pauses: list[float] = []
    log = mock.Mock()

    def look() -> Any:
        seen = script.pop(0)
        if isinstance(seen, Exception):
            raise seen
        return seen

    done: Callable[[Any], bool] = lambda seen: isinstance(seen, int)  # noqa: E731 - one expression, one use
    monkeypatch.setattr("time.sleep", pauses.append)
    assert look_until_on_worker(done, look, interval_seconds=10, log=log) == 7
    assert len(pauses) == 3
    assert [round(pause / 10) for pause in pauses[:1]] == [1]
    assert 40 * (1 - JITTER) <= pauses[2] <= 40 * (1 + JITTER)
    assert log.warning.call_count == 2
    script.append(RequestError("field", "given", "allowed"))
    with pytest.raises(RequestError):
        look_until_on_worker(done, look, interval_seconds=10, log=log)
