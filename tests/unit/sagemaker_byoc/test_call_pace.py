"""How often something is asked for."""

from __future__ import annotations

import pytest

from sagemaker_byoc.call_pace import CallBudget, CallPace
from sagemaker_byoc.pause import JITTER


class Clock:
    """Seconds that a test lets pass."""

    seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


def test_a_burst_is_free_and_then_calls_are_rationed() -> None:
    """After a rest several calls may follow each other; after that one each half second."""
    clock = Clock()
    budget = CallBudget(2.0, 3, clock)
    clock.seconds += 1_000  # a long rest saves up no more than the burst
    for _ in range(3):
        assert budget.wait_seconds() == 0
        budget.spend(1)
    assert budget.wait_seconds() == pytest.approx(0.5)
    clock.seconds += 0.5
    assert budget.wait_seconds() == pytest.approx(0)


def test_calls_beyond_the_budget_are_paid_later() -> None:
    """A reading of several pages is made to its end; the next one waits longer."""
    clock = Clock()
    budget = CallBudget(1.0, 2, clock)
    budget.spend(5)
    assert budget.wait_seconds() == pytest.approx(4)


def around(seconds: float) -> object:
    """Match a pause that varies."""
    return pytest.approx(seconds, rel=JITTER)


def test_the_pause_doubles_while_nothing_happens() -> None:
    """With news, or somebody new, it is short again."""
    pace = CallPace(5, 30)
    assert [pace.after_success(news=False) for _ in range(4)] == [around(10), around(20), around(30), around(30)]
    assert pace.after_success(news=True) == around(5)
    pace.after_success(news=False)
    assert pace.hurry() == around(5)
    assert pace.after_success(news=False) == around(10)


def test_the_pause_doubles_with_each_failure_up_to_a_bound() -> None:
    """A success makes it forget the failures."""
    pace = CallPace()
    pauses = [pace.after_failure() for _ in range(40)]
    assert pauses[:3] == [around(2), around(4), around(8)]
    assert pauses[10:] == [around(120)] * 30
    assert pace.failures == 40
    pace.after_success(news=True)
    assert pace.after_failure() == around(2)


def test_pauses_vary() -> None:
    """Triggerers that began together do not go on asking together."""
    pace = CallPace()
    assert len({pace.after_success(news=True) for _ in range(20)}) > 10
