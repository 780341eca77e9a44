"""How much traffic next, when, and when it is enough: each state of an endpoint, and each limit."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.endpoint_status import EndpointLook
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.traffic_shift import (
    Measured,
    ShiftStep,
    Tolerance,
    TrafficLook,
    TrafficPlan,
    next_shift_step,
    read_steps,
)

THEN = datetime(2026, 1, 1, tzinfo=timezone.utc)
PLAN = TrafficPlan("both", "final", {"a": 0.5, "b": 1.5}, {"new": 1.0}, (10.0, 50.0, 100.0), 60.0)


def look(share: float = 0.0, *, status: str = "InService", config: str = "both", age_seconds: float = 0.0) -> Any:
    """Make a look at an endpoint whose candidate has a share of the traffic."""
    weights = {each["VariantName"]: (each["DesiredWeight"], 1) for each in PLAN.shift(share)}
    endpoint = EndpointLook("iris", status, config)
    return TrafficLook(endpoint, weights, THEN, THEN + timedelta(seconds=age_seconds))


STATES: list[tuple[TrafficLook | None, ShiftStep]] = [
    (None, ShiftStep.LOST),
    (look(status="Deleting"), ShiftStep.LOST),
    (look(status="Failed"), ShiftStep.LOST),
    (look(config="old"), ShiftStep.LOST),
    (look(config="final"), ShiftStep.DONE),
    (look(status="Updating"), ShiftStep.WAIT),
    (look(0), ShiftStep.SHIFT),
    (look(5, age_seconds=9), ShiftStep.SHIFT),
    (look(10, age_seconds=59), ShiftStep.BAKE),
    (look(10, age_seconds=60), ShiftStep.SHIFT),
    (look(30, age_seconds=60), ShiftStep.SHIFT),
    (look(100, age_seconds=59), ShiftStep.BAKE),
    (look(100, age_seconds=60), ShiftStep.PROMOTE),
]


@pytest.mark.parametrize(("seen", "step"), STATES)
def test_each_state_has_its_next_step(seen: TrafficLook | None, step: ShiftStep) -> None:
    """Nothing else is asked than what the endpoint shows."""
    assert next_shift_step(seen, PLAN) is step


@pytest.mark.parametrize(
    ("age_seconds", "step"), [(60, ShiftStep.BAKE), (119, ShiftStep.BAKE), (120, ShiftStep.PROMOTE)]
)
def test_a_step_with_too_few_requests_lasts_twice_as_long(age_seconds: float, step: ShiftStep) -> None:
    """After that it goes on: an endpoint that nobody asks must not wait for ever."""
    assert next_shift_step(look(100, age_seconds=age_seconds), PLAN, enough=False) is step


@given(st.floats(min_value=0, max_value=100), st.lists(st.floats(0.001, 1000), min_size=1, max_size=9))
def test_the_candidate_gets_its_share(share: float, live: list[float]) -> None:
    """Whatever the weights were, and read back from 32-bit numbers as well."""
    plan = TrafficPlan("both", "final", {f"v{n}": weight for n, weight in enumerate(live)}, {"new": 2.0, "b": 1.0})
    weights = {each["VariantName"]: (each["DesiredWeight"], 1) for each in plan.shift(share)}
    seen = TrafficLook(EndpointLook("iris", "InService", "both"), weights, THEN, THEN)
    assert plan.share(seen) == pytest.approx(share, abs=1e-6)
    assert weights["new"][0] == pytest.approx(2 * weights["b"][0])


def test_without_a_share_the_weights_are_those_of_before() -> None:
    """The withdrawal leaves nothing behind."""
    before = {"a": 0.5, "b": 1.5, "new": 0.0}
    assert {each["VariantName"]: each["DesiredWeight"] for each in PLAN.shift(0)} == before


TOLERANCE = Tolerance(maximum_error_share=0.1, maximum_latency_ms=100, minimum_invocations=10)
MEASURES = [
    (Measured(9, 9, 900), ""),
    (Measured(10, 1, 100), ""),
    (Measured(10, 2, 100), "2 of 10 requests failed (0.200), above maximum_error_share 0.1"),
    (Measured(10, 0, 101), "the model took 101.0 ms on average over 10 requests, above maximum_latency_ms 100"),
    (Measured(), ""),
]


@pytest.mark.parametrize(("measured", "breach"), MEASURES)
def test_a_limit_is_missed_or_not(measured: Measured, breach: str) -> None:
    """What stands in the message is measure and limit."""
    assert TOLERANCE.breach(measured) == breach


LIMITS: list[tuple[dict[str, Any], str]] = [
    ({"maximum_error_share": -0.1}, "maximum_error_share"),
    ({"maximum_error_share": 1.0}, "maximum_error_share"),
    ({"maximum_latency_ms": 0}, "maximum_latency_ms"),
]


@pytest.mark.parametrize(("fields", "name"), LIMITS)
def test_a_limit_that_says_nothing_is_refused(fields: dict[str, Any], name: str) -> None:
    """Every candidate would pass it, or none."""
    with pytest.raises(RequestError, match=name):
        Tolerance(**fields)


READABLE: list[tuple[Any, list[float]]] = [
    (None, [100.0]),
    ("", [100.0]),
    ("None", [100.0]),
    ([10, "50", 100], [10.0, 50.0, 100.0]),
    ("[10, 100]", [10.0, 100.0]),
    ("10, 50,100", [10.0, 50.0, 100.0]),
    (100, [100.0]),
]


@pytest.mark.parametrize(("written", "steps"), READABLE)
def test_steps_are_read(written: Any, steps: list[float]) -> None:
    """As a list, and as the texts that a template or a person makes of it."""
    assert read_steps(written) == steps


@pytest.mark.parametrize("written", ["all", "[10, 100", [], [10], [50, 10, 100], [0, 100], [100, 100], [10, 101], [{}]])
def test_other_steps_are_refused(written: Any) -> None:
    """They have to ascend to all of the traffic."""
    with pytest.raises(RequestError, match=r"steps: got .*ascend to 100"):
        read_steps(written)
