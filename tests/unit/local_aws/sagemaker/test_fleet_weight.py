"""How weights share out the requests of an endpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local_aws.sagemaker.endpoint_config import Variant
from local_aws.sagemaker.fleet import Capacity, Fleet, NoInstanceError, VariantFleet
from local_aws.sagemaker.instance import Instance, InstancePlan
from local_aws.sagemaker.model import HostedContainer

if TYPE_CHECKING:
    from pathlib import Path


class _Cloud:
    """Has the one thing that an instance asks for before it starts."""

    def __init__(self, state_dir: Path) -> None:
        self.state_dir = state_dir


def _variant(name: str, weight: float, directory: Path) -> VariantFleet:
    variant = Variant.of({"VariantName": name, "ModelName": "m", "InitialInstanceCount": 1})
    plan = InstancePlan(name, "image", HostedContainer("image", {}, None), "group", 1.0)
    cloud: Any = _Cloud(directory)
    engine: Any = None
    return VariantFleet(variant, plan, weight, Capacity(weight, 1), [Instance(plan, cloud, engine)])


def _used(weights: dict[str, float], directory: Path) -> set[str]:
    variants = [_variant(name, weight, directory) for name, weight in weights.items()]
    fleet = Fleet(variants, lambda plan: pytest.fail(f"an instance of {plan.variant} was started"))
    used = set()
    for _ in range(200):
        with fleet.lease(None) as lease:
            used.add(lease.variant)
    return used


@pytest.mark.parametrize("weight", [5e-324, 1.0, 1e308])
def test_equal_weights_of_any_size_reach_every_variant(tmp_path: Path, weight: float) -> None:
    """Their sum may be more than a float can hold. One variant gets all of 200 requests once in 10^60 runs."""
    assert _used({"A": weight, "B": weight, "None": 0.0}, tmp_path) == {"A", "B"}


def test_no_weight_at_all_reaches_nothing(tmp_path: Path) -> None:
    """The refusal says why."""
    with pytest.raises(NoInstanceError, match="no variant with a weight above 0"):
        _used({"A": 0.0}, tmp_path)
