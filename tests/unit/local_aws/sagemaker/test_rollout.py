"""Which share of the traffic an update moves at which moment."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.rollout import Rollout, Size
from tests.support.rollout import blue_green, count, guarded, percent, rolling

INTERVAL, TERMINATION = (7, "WaitIntervalInSeconds"), (9, "TerminationWaitInSeconds")


def steps(deployment: dict[str, Any] | None, total: int) -> list[tuple[float, tuple[int, str]]]:
    """Return share, pause and the pause's name of each step."""
    planned = Rollout.of(deployment).steps(total)
    return [(float(step.share), (step.bake_seconds, step.waits_for)) for step in planned]


@pytest.mark.parametrize("deployment", [None, {}, guarded({}, "a")])
def test_without_a_policy_everything_is_shifted_at_once(deployment: dict[str, Any] | None) -> None:
    """AWS's default is blue/green without any pause."""
    assert steps(deployment, 3) == [(1.0, (0, "TerminationWaitInSeconds"))]


def test_all_at_once_waits_before_the_old_fleet_ends() -> None:
    """There is one step, so there is nothing between steps to wait for."""
    assert steps(blue_green("ALL_AT_ONCE", wait=7, termination=9), 3) == [(1.0, TERMINATION)]


@pytest.mark.parametrize(
    ("size", "total", "share", "instances"),
    [
        (percent(30), 4, 0.3, 2),
        (percent(10), 1, 0.1, 1),
        (count(1), 4, 0.25, 1),
        (count(2), 4, 0.5, 2),
    ],
)
def test_a_canary_has_two_steps(size: dict[str, Any], total: int, share: float, instances: int) -> None:
    """The traffic has the canary's share to the point; the instances that get it are whole ones."""
    deployment = blue_green("CANARY", size, wait=7, termination=9)
    assert steps(deployment, total) == [(share, INTERVAL), (1.0, TERMINATION)]
    canary, rest = Rollout.of(deployment).steps(total)
    assert (canary.instances(total), canary.capacity) == (instances, "canary capacity")
    assert (rest.instances(total), rest.capacity) == (total, "full capacity")


@pytest.mark.parametrize(
    ("size", "total", "shares"),
    [
        (percent(50), 3, [0.5, 1.0]),
        (percent(33), 3, [0.33, 0.66, 0.99, 1.0]),
        (percent(20), 1, [0.2, 0.4, 0.6, 0.8, 1.0]),
        (count(1), 3, [1 / 3, 2 / 3, 1.0]),
        (count(2), 5, [0.4, 0.8, 1.0]),
    ],
)
def test_linear_steps_add_up(size: dict[str, Any], total: int, shares: list[float]) -> None:
    """Every step is of the size asked for, the last one of what is left; the pauses lie between them."""
    planned = steps(blue_green("LINEAR", size, wait=7, termination=9), total)
    assert planned == [*((share, INTERVAL) for share in shares[:-1]), (1.0, TERMINATION)]


@pytest.mark.parametrize(
    ("size", "total", "batches"),
    [
        (count(1), 3, [1, 2, 3]),
        (count(2), 5, [2, 4, 5]),
        (percent(50), 4, [2, 4]),
        (percent(50), 3, [1, 2, 3]),
        (percent(5), 2, [1, 2]),
    ],
)
def test_rolling_batches_are_whole_instances(size: dict[str, Any], total: int, batches: list[int]) -> None:
    """A batch is at most as large as allowed, one instance at least, and each one is watched as long."""
    planned = Rollout.of(rolling(size, wait=7)).steps(total)
    assert [step.instances(total) for step in planned] == batches
    assert [step.share for step in planned] == [Fraction(done, total) for done in batches]
    assert {(step.bake_seconds, step.waits_for) for step in planned} == {INTERVAL}


@pytest.mark.parametrize(
    ("back", "batch"), [(None, 4), (percent(100), 4), (percent(50), 2), (count(3), 3), (count(9), 4)]
)
def test_a_rollback_brings_everything_at_once_unless_told_otherwise(back: dict[str, Any] | None, batch: int) -> None:
    """RollbackMaximumBatchSize is 100% by default."""
    assert Rollout.of(rolling(count(1), back=back)).rollback_batch(4) == batch


def test_limits_and_alarms_are_read_from_either_policy() -> None:
    """Both policies have a time limit; the alarms belong to neither."""
    limit = {"MaximumExecutionTimeoutInSeconds": 600}
    for name, policy in {**blue_green("CANARY", percent(10)), **rolling(count(1))}.items():
        rollout = Rollout.of(guarded({name: {**policy, **limit}}, "a", "b"))
        assert (rollout.limit_seconds, rollout.alarms) == (600, ("a", "b"))


@pytest.mark.parametrize(
    ("deployment", "counts", "fits"),
    [
        (blue_green("CANARY", count(1)), {"A": 2, "B": 3}, True),
        (blue_green("CANARY", count(1)), {"A": 2, "B": 1}, False),
        (blue_green("CANARY", count(1)), {"A": 20}, True),
        (blue_green("LINEAR", count(1)), {"A": 20}, False),
        (rolling(count(1)), {"A": 20}, True),
        (rolling(count(1)), {"A": 2, "B": 2}, False),
        (rolling(percent(50)), {"A": 1}, True),
        (blue_green("CANARY", percent(50)), {"A": 1, "B": 1}, True),
    ],
)
def test_a_size_in_instances_must_fit_every_variant(
    deployment: dict[str, Any], counts: dict[str, int], fits: bool
) -> None:
    """Percentages always fit; a rolling update has one variant."""
    rollout = Rollout.of(deployment)
    if fits:
        rollout.refuse_unfit(counts)
    else:
        with pytest.raises(AwsError):
            rollout.refuse_unfit(counts)


def test_a_size_is_never_more_than_everything() -> None:
    """A count beyond the fleet is the fleet."""
    assert Size.of(count(5)).share(3) == 1
    assert Size.of(count(5)).instances(3) == 3
