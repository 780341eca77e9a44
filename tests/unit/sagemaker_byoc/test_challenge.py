"""The comparison of a new model with the champion."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.challenge import Challenge, read_criteria
from sagemaker_byoc.errors import RequestError


def passes(criterion: Any, challenger: float, champion: float | None) -> bool:
    """Tell whether a model with one metric wins."""
    criteria = read_criteria({"m": criterion})
    metrics = None if champion is None else {"m": champion}
    return not Challenge.between(criteria, {"m": challenger}, metrics).reasons


@pytest.mark.parametrize(
    ("criterion", "challenger", "champion", "wins"),
    [
        ("maximize", 0.9, 0.8, True),
        ("maximize", 0.8, 0.8, True),
        ("maximize", 0.7, 0.8, False),
        ("minimize", 0.7, 0.8, True),
        ("minimize", 0.9, 0.8, False),
        ({"goal": "maximize", "margin": 0.1}, 0.3, 0.2, True),
        ({"goal": "maximize", "margin": "0.1"}, 0.29, 0.2, False),
        ({"goal": "minimize", "margin": 0.1}, 0.2, 0.3, True),
        ({"goal": "minimize", "margin": 0.1}, 0.21, 0.3, False),
        ({"goal": "maximize", "margin": -0.05}, 0.76, 0.8, True),
        ({"goal": "maximize", "margin": -0.05}, 0.74, 0.8, False),
        ({"goal": "maximize", "limit": 0.9}, 0.89, 0.5, False),
        ({"goal": "maximize", "limit": 0.9}, 0.9, None, True),
        ({"goal": "minimize", "limit": 0.1}, 0.2, None, False),
        ("maximize", 0.0, None, True),
        ("maximize", float("nan"), 0.5, False),
        ({"goal": "minimize", "limit": 1}, float("nan"), None, False),
    ],
)
def test_direction_margin_and_limit_decide(
    criterion: Any, challenger: float, champion: float | None, wins: bool
) -> None:
    """As good is enough unless a margin is asked for; without a champion only the limit counts."""
    assert passes(criterion, challenger, champion) is wins


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.sampled_from(["maximize", "minimize"]))
def test_one_of_two_models_always_wins(one: float, other: float, goal: str) -> None:
    """Whatever the numbers, two models never both lose against each other."""
    assert passes(goal, one, other) or passes(goal, other, one)


def test_every_metric_has_to_win() -> None:
    """One that is worse is enough to lose, and the reasons name it alone."""
    criteria = read_criteria({"accuracy": "maximize", "loss": "minimize"})
    challenge = Challenge.between(criteria, {"accuracy": 0.9, "loss": 0.5}, {"accuracy": 0.8, "loss": 0.4})
    assert challenge.reasons == ["loss 0.5 is not as good as the champion's 0.4"]


def test_the_table_shows_both_models() -> None:
    """A person sees the numbers beside each other, and which of them lost."""
    criteria = read_criteria({"accuracy": {"goal": "maximize", "margin": 0.01, "limit": 0.5}, "loss": "minimize"})
    champion = {"accuracy": 0.8, "loss": 0.4}
    table = Challenge.between(criteria, {"accuracy": 0.9, "loss": 0.5}, champion).table().splitlines()
    assert [line.split() for line in table] == [
        ["metric", "goal", "challenger", "champion", "margin", "limit", "verdict"],
        ["accuracy", "maximize", "0.9", "0.8", "0.01", "0.5", "passes"],
        ["loss", "minimize", "0.5", "0.4", "0", "-", "NOT", "GOOD", "ENOUGH"],
    ]


@pytest.mark.parametrize(
    ("challenger", "champion", "told"),
    [
        ({"b": 1.0}, None, "a metric of the challenger: b. Metrics are what the job's MetricDefinitions"),
        ({"a": 1.0}, {"c": 1.0, "b": 1.0}, "a metric of the champion: b, c. Leave the metric out"),
        ({"a": 1.0}, {}, "a metric of the champion: none: it has no metrics at all."),
    ],
)
def test_a_metric_that_one_side_lacks_is_told_with_those_it_has(
    challenger: dict[str, float], champion: dict[str, float] | None, told: str
) -> None:
    """Neither side wins by a number that is not there."""
    with pytest.raises(RequestError) as raised:
        Challenge.between(read_criteria({"a": "maximize"}), challenger, champion)
    assert str(raised.value).startswith("criteria.a: got 'a'; allowed is ")
    assert told in str(raised.value)


@pytest.mark.parametrize(
    ("criteria", "told"),
    [
        ({}, "criteria: got {}; allowed is an object with at least one metric"),
        ("accuracy", "criteria: got 'accuracy'"),
        ({"a": "max"}, "criteria.a.goal: got 'max'; allowed is maximize or minimize"),
        ({"a": {"margin": 1}}, "criteria.a.goal: got None"),
        ({"a": {"goal": "maximize", "floor": 1}}, "criteria.a.floor: got 1; allowed is one of the members goal"),
        ({"a": {"goal": "maximize", "margin": "much"}}, "criteria.a.margin: got 'much'; allowed is a number"),
        ({"a": 1}, "criteria.a: got 1; allowed is maximize or minimize"),
    ],
)
def test_criteria_that_say_nothing_are_refused(criteria: Any, told: str) -> None:
    """The message names the member, what stood there and what is allowed."""
    with pytest.raises(RequestError) as raised:
        read_criteria(criteria)
    assert told in str(raised.value)
