"""Which of two fleets gets a request."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import pytest

from local_aws.sagemaker.endpoint_config import Variant
from local_aws.sagemaker.fleet import Capacity, Fleet, FleetClosedError, NoInstanceError, VariantFleet
from local_aws.sagemaker.instance import Instance, InstancePlan
from local_aws.sagemaker.model import HostedContainer
from local_aws.sagemaker.traffic import Traffic

if TYPE_CHECKING:
    from pathlib import Path


class _Cloud:
    """Has the one thing that an instance asks for before it starts."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir


def fleet(directory: Path, instances: int = 1, weight: float = 1.0) -> Fleet:
    """Make a fleet of one variant whose instances are only asked for their number of requests."""
    variant = Variant.of({"VariantName": "A", "ModelName": "m", "InitialInstanceCount": instances})
    plan = InstancePlan("A", "image", HostedContainer("image", {}, None), "group", 1.0)
    cloud: Any = _Cloud(directory)
    engine: Any = None
    made = [Instance(plan, cloud, engine) for _ in range(instances)]
    variants = [VariantFleet(variant, plan, weight, Capacity(weight, instances), made)]
    return Fleet(variants, lambda plan: pytest.fail(f"an instance of {plan.variant} was started"))


def taken(traffic: Traffic, requests: int) -> list[Instance]:
    """Return who got each of the requests."""
    got = []
    for _ in range(requests):
        with traffic.lease(None) as lease:
            got.append(lease.instance)
    return got


def test_an_endpoint_without_a_fleet_serves_nothing() -> None:
    """It says so in the way of a fleet that is over."""
    with pytest.raises(FleetClosedError), Traffic().lease(None):
        pass


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.25, 130, 370), (1.0, 1000, 1000)])
def test_a_share_of_the_requests_goes_to_the_new_fleet(tmp_path: Path, share: float, least: int, most: int) -> None:
    """Of 1,000 a quarter is outside of these bounds once in 10^16 runs; nothing and everything are exact."""
    old, new = fleet(tmp_path), fleet(tmp_path)
    traffic = Traffic()
    traffic.settle(old)
    traffic.share(new, Fraction(share))
    assert least <= taken(traffic, 1000).count(new.variants[0].instances[0]) <= most
    assert traffic.live is old


def test_only_the_active_part_of_a_fleet_gets_its_share(tmp_path: Path) -> None:
    """A canary of one instance keeps the others out, whichever way they are picked."""
    new = fleet(tmp_path, instances=4)
    new.variants[0].active = 1
    traffic = Traffic()
    traffic.settle(new)
    assert set(taken(traffic, 100)) == {new.variants[0].instances[0]}


def test_a_fleet_without_a_healthy_instance_leaves_its_share_to_the_other(tmp_path: Path) -> None:
    """A canary that breaks down fails no request."""
    old, new = fleet(tmp_path), fleet(tmp_path, instances=0)
    traffic = Traffic()
    traffic.settle(old)
    traffic.share(new, Fraction(1, 2))
    assert set(taken(traffic, 100)) == {old.variants[0].instances[0]}


def test_a_fleet_that_has_everything_and_nothing_healthy_is_not_covered_up(tmp_path: Path) -> None:
    """The old fleet is about to end, so it gets nothing any more."""
    traffic = Traffic()
    traffic.settle(fleet(tmp_path))
    traffic.share(fleet(tmp_path, instances=0), Fraction(1))
    with pytest.raises(NoInstanceError), traffic.lease(None):
        pass


def test_requests_during_a_hundred_swaps_all_find_a_fleet(tmp_path: Path) -> None:
    """Where the old fleet closes after a request has looked which way to go, the request looks again."""
    traffic, ended, refusals = Traffic(), threading.Event(), list[Exception]()
    traffic.settle(fleet(tmp_path))

    def keep_asking() -> None:
        while not ended.is_set():
            try:
                taken(traffic, 1)
            except (FleetClosedError, NoInstanceError) as error:
                refusals.append(error)

    threads = [threading.Thread(target=keep_asking) for _ in range(3)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        old, new = traffic.live, fleet(tmp_path)
        for share in (Fraction(1, 2), Fraction(1)):
            traffic.share(new, share)
        assert old is not None
        old.close()
        traffic.settle(new)
    ended.set()
    for thread in threads:
        thread.join()
    assert refusals == []
