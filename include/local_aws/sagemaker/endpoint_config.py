"""Endpoint configurations: which models serve, on how many instances, with which share of the traffic.

Owns their operations and what a configuration may ask for here. Must not know running endpoints.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.errors import quota_exceeded, validation
from local_aws.sagemaker.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.cloud import Cloud
    from local_aws.sagemaker.model import Models
    from local_aws.sagemaker.tag import TagRegistry
    from local_aws.service import Operation, Request, Response

__all__ = ["MOST_INSTANCES", "EndpointConfigs", "Variant"]

_LISTING = Listing(
    result="EndpointConfigs",
    name="EndpointConfigName",
    members=("EndpointConfigName", "EndpointConfigArn", "CreationTime"),
)

MOST_INSTANCES = 20
"""Instances of one endpoint; each is a process on this machine. AWS's quotas depend on the instance type."""

_MISSING_HERE = {
    "AsyncInferenceConfig": "invoke in real time",
    "ExplainerConfig": "leave it out",
    "CrossRegionTrafficConfig": "leave it out",
    "DataCaptureConfig": "leave it out",
}
_MISSING_IN_VARIANT = {
    "ServerlessConfig": "give InstanceType and InitialInstanceCount",
    "InstancePools": "give InstanceType and InitialInstanceCount",
    "ManagedInstanceScaling": "change capacities with UpdateEndpointWeightsAndCapacities",
    "CoreDumpConfig": "leave it out",
    "CapacityReservationConfig": "leave it out",
    "AcceleratorPartitionLayouts": "leave it out",
}
_ROUTING = ("RANDOM", "LEAST_OUTSTANDING_REQUESTS")


@dataclass(frozen=True)
class Variant:
    """One production variant as a configuration asks for it.

    :param weight: its traffic is weight / sum of weights
    :param startup_timeout_seconds: time for ``/ping`` to answer 200 first; None for the default
    :param picks_least_busy: routing strategy LEAST_OUTSTANDING_REQUESTS instead of RANDOM
    :param is_shadow: it gets copies of requests, and its answers are dropped
    """

    name: str
    model: str
    count: int
    weight: float
    startup_timeout_seconds: float | None
    picks_least_busy: bool
    is_shadow: bool = False

    @classmethod
    def of(cls, variant: Mapping[str, Any], *, is_shadow: bool = False) -> Variant:
        """Read a ``ProductionVariant``."""
        routing = variant.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM")
        return cls(
            name=variant["VariantName"],
            model=variant["ModelName"],
            count=variant["InitialInstanceCount"],
            weight=variant.get("InitialVariantWeight", 1.0),
            startup_timeout_seconds=variant.get("ContainerStartupHealthCheckTimeoutInSeconds"),
            picks_least_busy=routing == "LEAST_OUTSTANDING_REQUESTS",
            is_shadow=is_shadow,
        )


class EndpointConfigs:
    """All endpoint configurations.

    :param models: those that variants may name
    :param tags: where the tags of a new configuration go
    """

    def __init__(self, cloud: Cloud, models: Models, tags: TagRegistry) -> None:
        self._cloud = cloud
        self._models = models
        self._tags = tags
        self._configs: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "CreateEndpointConfig": self._create,
            "DescribeEndpointConfig": self._describe,
            "ListEndpointConfigs": self._list,
            "DeleteEndpointConfig": self._delete,
        }

    def close(self) -> None:
        """Nothing runs here."""

    def variants(self, name: str) -> list[Variant]:
        """Return what an endpoint with this configuration has to run, shadow variants last.

        :raises AwsError: ``ValidationException`` when there is no such configuration
        """
        config = self._find(name)
        shadows = config.get("ShadowProductionVariants", [])
        production = [Variant.of(variant) for variant in config["ProductionVariants"]]
        return [*production, *(Variant.of(variant, is_shadow=True) for variant in shadows)]

    def _create(self, request: Request) -> Response:
        name = request["EndpointConfigName"]
        arn = self._arn(name)
        self._refuse_duplicate(name)
        self._tags.check(request.get("Tags", []))
        _refuse_missing(request, _MISSING_HERE, "The request")
        self._check_variants(request["ProductionVariants"], request.get("ShadowProductionVariants", []))
        facts = {key: value for key, value in request.items() if key != "Tags"}
        for member in {"ProductionVariants", "ShadowProductionVariants"} & request.keys():
            facts[member] = [{"InitialVariantWeight": 1.0, **variant} for variant in request[member]]
        with self._lock:
            self._refuse_duplicate(name)
            self._tags.register(arn, request.get("Tags", []))
            now = dt.datetime.now(dt.timezone.utc)
            self._configs[name] = {**facts, "EndpointConfigArn": arn, "CreationTime": now}
        return {"EndpointConfigArn": arn}

    def _describe(self, request: Request) -> Response:
        return {"EnableNetworkIsolation": False, **self._find(request["EndpointConfigName"])}

    def _list(self, request: Request) -> Response:
        with self._lock:
            configs = list(self._configs.values())
        return _LISTING.answer(request, configs)

    def _delete(self, request: Request) -> Response:
        config = self._find(request["EndpointConfigName"])
        with self._lock:
            self._configs.pop(config["EndpointConfigName"], None)
        self._tags.forget(config["EndpointConfigArn"])
        return {}

    def _check_variants(self, production: Sequence[Mapping[str, Any]], shadows: Sequence[Mapping[str, Any]]) -> None:
        if shadows and (len(production) > 1 or len(shadows) > 1):
            # The rule is documented, the wording is a guess.
            raise validation(
                "With ShadowProductionVariants, one production variant and one shadow variant are allowed."
            )
        variants = [*production, *shadows]
        names = [variant["VariantName"] for variant in variants]
        if len(set(names)) < len(names):
            # Guess.
            message = f"VariantName must be unique in an endpoint configuration, got {names}."
            raise validation(message)
        for variant in variants:
            _check_variant(variant)
            self._models.container(variant["ModelName"])
        if not any(variant.get("InitialVariantWeight", 1.0) for variant in production):
            # Guess: no variant would get any traffic.
            raise validation("At least one variant must have an InitialVariantWeight greater than 0.")
        check_capacity(sum(variant["InitialInstanceCount"] for variant in variants), variants[0]["InstanceType"])

    def _find(self, name: str) -> dict[str, Any]:
        with self._lock:
            config = self._configs.get(name)
        if config is None:
            message = f'Could not find endpoint configuration "{self._arn(name)}".'
            raise validation(message)
        return config

    def _refuse_duplicate(self, name: str) -> None:
        if name in self._configs:
            message = f'Cannot create already existing endpoint configuration "{self._arn(name)}".'
            raise validation(message)

    def _arn(self, name: str) -> str:
        return self._cloud.arn("sagemaker", f"endpoint-config/{name.lower()}")


def check_capacity(count: int, instance_type: str) -> None:
    """Refuse more instances than one endpoint may have.

    :raises AwsError: ``ResourceLimitExceeded``
    """
    if count > MOST_INSTANCES:
        raise quota_exceeded(f"{instance_type} for endpoint usage", MOST_INSTANCES, count)


def _check_variant(variant: Mapping[str, Any]) -> None:
    where = f"Variant {variant['VariantName']}"
    _refuse_missing(variant, _MISSING_IN_VARIANT, where)
    for member in ("ModelName", "InstanceType", "InitialInstanceCount"):
        if not variant.get(member):
            # Optional in the model for inference components and serverless only. Guess.
            message = f"{where}: {member} is required."
            raise validation(message)
    routing = variant.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM")
    if routing not in _ROUTING:
        message = f"{where}: routing strategy {routing} is not supported by the local AWS: use {' or '.join(_ROUTING)}"
        raise validation(message)


def _refuse_missing(given: Mapping[str, Any], missing: Mapping[str, str], where: str) -> None:
    for member, remedy in missing.items():
        if member in given:
            message = f"{where} has {member}, which the local AWS does not have: {remedy}"
            raise validation(message)
