"""The API of endpoints.

Owns the endpoints by name and the answers of their operations. Must not know how a fleet is started or swapped.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import threading
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation
from local_aws.sagemaker.alarm import Alarms
from local_aws.sagemaker.deployment import Deployment
from local_aws.sagemaker.endpoint_config import check_capacity
from local_aws.sagemaker.endpoint_state import IN_PROGRESS, EndpointState
from local_aws.sagemaker.event import EventPublisher, epoch_milliseconds, json_times
from local_aws.sagemaker.fleet import Capacity
from local_aws.sagemaker.fleet_maker import DEFAULT_STARTUP_SECONDS, FleetMaker
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.rollout import Rollout

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.endpoint_config import EndpointConfigs, Variant
    from local_aws.sagemaker.model import Models
    from local_aws.sagemaker.tag import TagRegistry
    from local_aws.service import Operation, Request, Response

__all__ = ["Endpoints"]

_LISTING = Listing(
    result="Endpoints",
    name="EndpointName",
    members=("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus"),
    status="EndpointStatus",
)

_UPDATABLE = ("InService", "UpdateRollbackFailed")
"""What UpdateEndpoint is allowed in (developer guide, "Rolling Deployments", for the latter)."""


class Endpoints:
    """All endpoints.

    :param configs: what they can serve
    :param startup_timeout_seconds: for variants that do not say how long a container may take to become healthy
    """

    def __init__(
        self,
        cloud: Cloud,
        engine: Engine,
        models: Models,
        configs: EndpointConfigs,
        tags: TagRegistry,
        events: EventPublisher,
        *,
        startup_timeout_seconds: float = DEFAULT_STARTUP_SECONDS,
    ) -> None:
        self.cloud = cloud
        self._configs = configs
        self._tags = tags
        self._events = events
        self._fleets = FleetMaker(cloud, engine, models, startup_timeout_seconds)
        # By name in lower case: names are unique without regard to case.
        self._endpoints: dict[str, Deployment] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "CreateEndpoint": self._create,
            "DescribeEndpoint": self._describe,
            "ListEndpoints": self._list,
            "UpdateEndpoint": self._update,
            "UpdateEndpointWeightsAndCapacities": self._scale,
            "DeleteEndpoint": self._delete,
        }

    def close(self) -> None:
        """End every endpoint."""
        with self._lock:
            endpoints = list(self._endpoints.values())
        threads = [threading.Thread(target=endpoint.close, daemon=True) for endpoint in endpoints]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def find(self, name: str) -> Deployment | None:
        """Return the endpoint of exactly this name, as invocations need it."""
        with self._lock:
            endpoint = self._endpoints.get(name.lower())
        return endpoint if endpoint is not None and endpoint.state.name == name else None

    def _create(self, request: Request) -> Response:
        name = request["EndpointName"]
        arn = self._arn(name)
        self._refuse_duplicate(name)
        self._tags.check(request.get("Tags", []))
        config = request.get("DeploymentConfig")
        Rollout.of(config)
        variants = self._configs.variants(request["EndpointConfigName"])
        state = EndpointState(
            name,
            arn,
            request["EndpointConfigName"],
            on_change=self._publish,
            on_progress=self._publish_progress,
            deployment_config=config,
        )
        endpoint = Deployment(state, functools.partial(self._fleets.make, name), self._forget)
        with self._lock:
            self._refuse_duplicate(name)
            self._tags.register(arn, request.get("Tags", []))
            self._endpoints[name.lower()] = endpoint
        self._publish(state)
        endpoint.create(variants)
        return {"EndpointArn": arn}

    def _describe(self, request: Request) -> Response:
        return self._known(request).describe()

    def _list(self, request: Request) -> Response:
        with self._lock:
            endpoints = list(self._endpoints.values())
        return _LISTING.answer(request, [endpoint.describe() for endpoint in endpoints])

    def _update(self, request: Request) -> Response:
        endpoint = self._known(request)
        state = endpoint.state
        config_name = request["EndpointConfigName"]
        config = request.get("DeploymentConfig")
        if config is None and request.get("RetainDeploymentConfig"):
            config = state.deployment_config
        rollout = Rollout.of(config)
        variants = self._configs.variants(config_name)
        self._refuse_unless_settled(endpoint, _UPDATABLE)
        self._refuse_same(state, config_name)
        _refuse_excluded(request)
        kept = _kept_capacities(request, endpoint, variants)
        if config is not None:
            self._refuse_unfit(endpoint, rollout, variants, kept)
        alarms = Alarms(self.cloud, rollout.alarms)
        _refuse_missing(alarms)
        self._begin_update(endpoint, _UPDATABLE)
        state.pending = {"EndpointConfigName": config_name, "StartTime": dt.datetime.now(dt.timezone.utc)}
        state.deployment_config = config or state.deployment_config
        endpoint.update(config_name, variants, kept, rollout, alarms)
        return {"EndpointArn": state.arn}

    def _scale(self, request: Request) -> Response:
        endpoint = self._known(request)
        self._refuse_unless_settled(endpoint, ("InService",))
        capacities = _wanted_capacities(request, endpoint)
        self._begin_update(endpoint, ("InService",))
        endpoint.scale(capacities)
        return {"EndpointArn": endpoint.state.arn}

    def _delete(self, request: Request) -> Response:
        endpoint = self._known(request)
        state = endpoint.state
        for settled in (*_UPDATABLE, "Failed"):
            if state.move("Deleting", expected=settled):
                endpoint.delete()
                return {}
        raise _in_progress(state)

    def _forget(self, endpoint: Deployment) -> None:
        with self._lock:
            self._endpoints.pop(endpoint.state.name.lower(), None)
        self._tags.forget(endpoint.state.arn)

    def _known(self, request: Request) -> Deployment:
        with self._lock:
            endpoint = self._endpoints.get(request["EndpointName"].lower())
        if endpoint is None:
            message = f'Could not find endpoint "{self._arn(request["EndpointName"])}".'
            raise validation(message)
        return endpoint

    def _begin_update(self, endpoint: Deployment, settled: Sequence[str]) -> None:
        if not any(endpoint.state.move("Updating", expected=status) for status in settled):
            raise _in_progress(endpoint.state)

    def _refuse_unless_settled(self, endpoint: Deployment, settled: Sequence[str]) -> None:
        state = endpoint.state
        if state.status in IN_PROGRESS:
            raise _in_progress(state)
        if state.status not in settled:
            # Guess; that only DeleteEndpoint is allowed on a failed endpoint is documented.
            remedy = "it can only be deleted" if state.status == "Failed" else "call UpdateEndpoint first"
            message = f'Cannot update endpoint "{state.arn}" in status {state.status}: {remedy}.'
            raise validation(message)

    def _refuse_same(self, state: EndpointState, config_name: str) -> None:
        if config_name == state.config_name and state.status == "InService":
            # Guess; that the configuration must be another one is documented.
            message = (
                f'Cannot update endpoint "{state.arn}" to the endpoint configuration it already has: {config_name}.'
            )
            raise validation(message)

    def _refuse_unfit(
        self, endpoint: Deployment, rollout: Rollout, variants: Sequence[Variant], kept: Mapping[str, Capacity]
    ) -> None:
        """Refuse what a deployment configuration cannot be carried out with."""
        production = [variant for variant in variants if not variant.is_shadow]
        names, before = {variant.name for variant in production}, {fleet.variant.name for fleet in endpoint.variants}
        if names != before:
            # The rule is documented (developer guide, "Exclusions" of deployment guardrails), the wording is a guess.
            message = (
                "With a DeploymentConfig the variants of the new endpoint configuration must have the names of the "
                f"present ones: {', '.join(sorted(before))}; got {', '.join(sorted(names))}."
            )
            raise validation(message)
        rollout.refuse_unfit({v.name: kept[v.name].count if v.name in kept else v.count for v in production})

    def _refuse_duplicate(self, name: str) -> None:
        if name.lower() in self._endpoints:
            message = f'Cannot create already existing endpoint "{self._arn(name)}".'
            raise validation(message)

    def _arn(self, name: str) -> str:
        # Lower case, as in the sample of the EventBridge page.
        return self.cloud.arn("sagemaker", f"endpoint/{name.lower()}")

    def _publish(self, state: EndpointState) -> None:
        endpoint = self._endpoints.get(state.name.lower())
        variants = [
            {"DesiredWeight": fleet.desired.weight, "DesiredInstanceCount": fleet.desired.count}
            for fleet in (endpoint.variants if endpoint else [])
        ]
        self._events.publish("SageMaker Endpoint State Change", state.arn, self._detail(state, variants))

    def _publish_progress(self, state: EndpointState) -> None:
        endpoint = self._endpoints.get(state.name.lower())
        if endpoint is None:
            return
        found = endpoint.describe()
        detail = self._detail(state, found["ProductionVariants"])
        detail["PendingDeploymentSummary"] = found["PendingDeploymentSummary"]
        self._events.publish("SageMaker Endpoint Deployment State Change", state.arn, json_times(detail))

    def _detail(self, state: EndpointState, variants: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Return what both kinds of event tell."""
        detail: dict[str, Any] = {
            "EndpointName": state.name,
            "EndpointArn": state.arn,
            "EndpointConfigName": state.config_name,
            "ProductionVariants": variants,
            "EndpointStatus": re.sub(r"(?<=[a-z])(?=[A-Z])", "_", state.status).upper(),
            "CreationTime": epoch_milliseconds(state.created),
            "LastModifiedTime": epoch_milliseconds(state.modified),
            "Tags": {tag["Key"]: tag["Value"] for tag in self._tags.of(state.arn)},
        }
        if state.failure_reason:
            detail["FailureReason"] = state.failure_reason
        return detail


def _in_progress(state: EndpointState) -> Exception:
    return validation(f'Cannot update in-progress endpoint "{state.arn}".')


def _refuse_missing(alarms: Alarms) -> None:
    missing = alarms.missing()
    if missing:
        # Guess.
        message = f"Could not find the CloudWatch alarm(s) of AutoRollbackConfiguration: {', '.join(missing)}."
        raise validation(message)


def _refuse_excluded(request: Request) -> None:
    excluded = [item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])]
    if "DataCaptureConfig" in excluded:
        # That it is not supported is documented, the wording is a guess.
        raise validation("VariantPropertyType DataCaptureConfig is not supported.")


def _kept_capacities(request: Request, endpoint: Deployment, variants: Sequence[Variant]) -> dict[str, Capacity]:
    """Return what the new fleet takes over from the old one when the request retains variant properties."""
    if not request.get("RetainAllVariantProperties"):
        return {}
    excluded = {item["VariantPropertyType"] for item in request.get("ExcludeRetainedVariantProperties", [])}
    current = {fleet.variant.name: fleet.desired for fleet in [*endpoint.variants, *endpoint.shadows]}
    return {
        variant.name: Capacity(
            variant.weight if "DesiredWeight" in excluded else current[variant.name].weight,
            variant.count if "DesiredInstanceCount" in excluded else current[variant.name].count,
        )
        for variant in variants
        if variant.name in current
    }


def _wanted_capacities(request: Request, endpoint: Deployment) -> dict[str, Capacity]:
    current = {fleet.variant.name: fleet for fleet in [*endpoint.variants, *endpoint.shadows]}
    wanted = {name: fleet.desired for name, fleet in current.items()}
    for change in request["DesiredWeightsAndCapacities"]:
        name = change["VariantName"]
        if name not in current or "ServerlessUpdateConfig" in change:
            # Guess.
            message = f'Could not find variant "{name}" with instances; the endpoint has {", ".join(current)}.'
            raise validation(message)
        before = wanted[name]
        wanted[name] = Capacity(
            change.get("DesiredWeight", before.weight), change.get("DesiredInstanceCount", before.count)
        )
    if min(capacity.count for capacity in wanted.values()) < 1:
        # Guess; no instance at all is for endpoints with inference components.
        raise validation("DesiredInstanceCount must be at least 1 for every variant.")
    if not any(wanted[fleet.variant.name].weight for fleet in endpoint.variants):
        # Guess: no variant would get any traffic.
        raise validation("At least one variant must have a DesiredWeight greater than 0.")
    check_capacity(sum(capacity.count for capacity in wanted.values()), "ml")
    return wanted
