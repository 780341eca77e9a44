"""Makes the fleet of an endpoint from what its configuration says.

Owns the way from a variant's name of a model to an image that an engine can run. Must not know what becomes of the
fleet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_aws.container import ContainerError
from local_aws.errors import AwsError
from local_aws.sagemaker.fleet import Capacity, Fleet, VariantFleet
from local_aws.sagemaker.instance import Instance, InstanceError, InstancePlan

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.endpoint_config import Variant
    from local_aws.sagemaker.model import Models

__all__ = ["DEFAULT_STARTUP_SECONDS", "FleetMaker"]

DEFAULT_STARTUP_SECONDS = 480.0
"""Eight minutes for the first good answer of ``/ping`` (developer guide, "Custom Inference Code with Hosting")."""


class FleetMaker:
    """Makes fleets that are not started yet.

    :param models: what variants run
    :param startup_timeout_seconds: for variants that do not say how long they may take
    """

    def __init__(self, cloud: Cloud, engine: Engine, models: Models, startup_timeout_seconds: float) -> None:
        self._cloud = cloud
        self._engine = engine
        self._models = models
        self._startup_timeout_seconds = startup_timeout_seconds

    def make(self, endpoint_name: str, variants: Sequence[Variant], kept: Mapping[str, Capacity]) -> Fleet:
        """Return the fleet of an endpoint.

        :param kept: capacities that replace those of the configuration, by variant
        :raises InstanceError: when a model or its image is gone
        """
        fleets = [
            self._variant_fleet(endpoint_name, variant, kept.get(variant.name, Capacity(variant.weight, variant.count)))
            for variant in variants
        ]
        return Fleet(fleets, lambda plan: Instance(plan, self._cloud, self._engine))

    def _variant_fleet(self, endpoint_name: str, variant: Variant, capacity: Capacity) -> VariantFleet:
        try:
            container = self._models.container(variant.model)
            image = self._engine.resolve(container.image)
        except AwsError as error:
            raise InstanceError(error.message) from error
        except ContainerError as error:
            raise InstanceError(str(error)) from error
        timeout = variant.startup_timeout_seconds or self._startup_timeout_seconds
        group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
        plan = InstancePlan(variant.name, image, container, group, timeout)
        return VariantFleet(variant, plan, capacity.weight, capacity)
