"""The pace of calls that many share."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.call_budget import CallBudget


def test_a_burst_is_free_and_the_rest_keeps_its_distance() -> None:
    """Two at once, and then two a second."""
    budget = CallBudget(per_second=2, burst=2)
    assert [budget.reserve(100.0) for _ in range(4)] == [0, 0, 0.5, 1.0]


def test_a_time_without_calls_fills_the_budget_again() -> None:
    """It fills up to the burst and not beyond."""
    budget = CallBudget(per_second=2, burst=2)
    for _ in range(4):
        budget.reserve(0.0)
    assert [budget.reserve(1000.0) for _ in range(3)] == [0, 0, 0.5]


@given(st.lists(st.floats(0, 30), min_size=1, max_size=60), st.floats(0.1, 20), st.integers(1, 10))
def test_no_span_of_time_sees_more_calls_than_the_rate_and_one_burst(
    pauses: list[float], per_second: float, burst: int
) -> None:
    """Whenever the calls are asked for."""
    budget, now, made = CallBudget(per_second, burst), 0.0, []
    for pause in pauses:
        now += pause
        made.append(now + budget.reserve(now))
    for first in range(len(made)):
        for last in range(first, len(made)):
            assert last - first + 1 <= burst + (made[last] - made[first]) * per_second + 1e-6
