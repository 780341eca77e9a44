"""Puts SageMaker's resources together into the one service that the gateway knows.

Owns nothing but the list of resources. A new resource is one import and one line.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from local_aws.sagemaker.endpoint import Endpoints
from local_aws.sagemaker.endpoint_config import EndpointConfigs
from local_aws.sagemaker.event import EventPublisher
from local_aws.sagemaker.fleet_maker import DEFAULT_STARTUP_SECONDS
from local_aws.sagemaker.model import Models
from local_aws.sagemaker.model_package import ModelPackages
from local_aws.sagemaker.model_package_group import ModelPackageGroups
from local_aws.sagemaker.tag import TagRegistry
from local_aws.sagemaker.training_job import TrainingJobs
from local_aws.sagemaker.transform_job import TransformJobs

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.service import Operation

__all__ = ["Resource", "SageMakerService"]


class Resource(Protocol):
    """One kind of thing with its operations: training jobs, models, endpoints, transform jobs."""

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""

    def close(self) -> None:
        """End whatever still runs; the local AWS is going down."""


class SageMakerService:
    """SageMaker's control plane.

    :param cloud: where the other services are
    :param engine: what runs the containers
    :param stop_grace_seconds: time between SIGTERM and SIGKILL for a training container; AWS's is 120
    :param startup_timeout_seconds: time for a serving container to become healthy, for variants that do not set it
    """

    service_name = "sagemaker"

    def __init__(
        self,
        cloud: Cloud,
        engine: Engine,
        *,
        stop_grace_seconds: float = 120.0,
        startup_timeout_seconds: float = DEFAULT_STARTUP_SECONDS,
    ) -> None:
        tags = TagRegistry()
        self._events = EventPublisher(cloud)
        groups = ModelPackageGroups(cloud, tags)
        packages = ModelPackages(cloud, groups, self._events)
        models = Models(cloud, engine, tags, packages)
        configs = EndpointConfigs(cloud, models, tags)
        self.endpoints = Endpoints(
            cloud, engine, models, configs, tags, self._events, startup_timeout_seconds=startup_timeout_seconds
        )
        self._resources: list[Resource] = [
            tags,
            TrainingJobs(cloud, engine, tags, self._events, stop_grace_seconds=stop_grace_seconds),
            groups,
            packages,
            models,
            configs,
            self.endpoints,
            TransformJobs(cloud, engine, models, tags, self._events, startup_timeout_seconds=startup_timeout_seconds),
        ]
        self.operations: dict[str, Operation] = {}
        for resource in self._resources:
            self.operations.update(resource.operations)

    def start(self) -> None:
        """Nothing is left to clear away: the engine ends the containers of an earlier life."""

    def close(self) -> None:
        """End every running job and endpoint."""
        for resource in self._resources:
            resource.close()
        self._events.close()
