"""What AWS demands of a deployment configuration beyond what its service model can say.

Owns the rules about UpdateEndpoint's ``DeploymentConfig`` and flags. Knows neither Airflow nor boto3. Both requests
have gone through ``request.conform`` before, so that types, enums and ranges of single members are right.

Sources: the members' descriptions in the API reference (BlueGreenUpdatePolicy, TrafficRoutingConfig,
RollingUpdatePolicy, VariantProperty), and the pages "Deployment guardrails" and "Exclusions" of the developer guide.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.request import combined

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["check_guardrails"]

_STEP_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}
_LOWEST_PERCENT = {"CanarySize": 1, "LinearStepSize": 10, "MaximumBatchSize": 5}
_HIGHEST_PERCENT = 50


def check_guardrails(update: Mapping[str, Any], config: Mapping[str, Any], *, field: str = "update_config") -> None:
    """Check how an endpoint is to be updated.

    :param update: UpdateEndpoint request
    :param config: CreateEndpointConfig request that it leads to
    :param field: how messages name the first
    :raises RequestError: everything that is not allowed, in one error
    """
    check = _Check(config, _counts(update, config))
    check.flags(update, field)
    if "DeploymentConfig" in update:
        check.deployment(update["DeploymentConfig"], f"{field}.DeploymentConfig")
    if check.problems:
        raise combined(check.problems)


@dataclass
class _Check:
    """One check of one update; collects problems instead of stopping at the first.

    :param counts: instances by variant, as far as the request itself tells
    """

    config: Mapping[str, Any]
    counts: Mapping[str, int]
    problems: list[RequestError] = field(default_factory=list)

    def refuse(self, at: str, given: Any, allowed: str, remedy: str = "") -> None:
        """Note a problem."""
        self.problems.append(RequestError(at, given, allowed, remedy))

    def flags(self, update: Mapping[str, Any], at: str) -> None:
        """Check what is kept of the variants that serve now."""
        excluded = update.get("ExcludeRetainedVariantProperties", [])
        at = f"{at}.ExcludeRetainedVariantProperties"
        if excluded and not update.get("RetainAllVariantProperties"):
            remedy = "Without it every property is the new configuration's. Set it to true, or leave this out."
            self.refuse(at, excluded, "nothing unless RetainAllVariantProperties is true", remedy)
        for index, item in enumerate(excluded):
            if item["VariantPropertyType"] == "DataCaptureConfig":
                allowed = "DesiredInstanceCount or DesiredWeight: AWS does not support DataCaptureConfig here"
                self.refuse(f"{at}[{index}].VariantPropertyType", "DataCaptureConfig", allowed)

    def deployment(self, deployment: Mapping[str, Any], at: str) -> None:
        """Check a ``DeploymentConfig``."""
        policies = [name for name in ("BlueGreenUpdatePolicy", "RollingUpdatePolicy") if name in deployment]
        if len(policies) > 1:
            self.refuse(at, policies, "one update policy", "Choose blue/green or rolling, and leave the other out.")
        if "BlueGreenUpdatePolicy" in policies:
            self._blue_green(deployment["BlueGreenUpdatePolicy"], f"{at}.BlueGreenUpdatePolicy")
        if "RollingUpdatePolicy" in policies:
            self._rolling(deployment["RollingUpdatePolicy"], f"{at}.RollingUpdatePolicy")
        for index, alarm in enumerate(deployment.get("AutoRollbackConfiguration", {}).get("Alarms", [])):
            if "AlarmName" not in alarm:
                where = f"{at}.AutoRollbackConfiguration.Alarms[{index}].AlarmName"
                self.refuse(where, None, "the name of a CloudWatch alarm of this account and region")
        self._excluded_instances(at)

    def _blue_green(self, policy: Mapping[str, Any], at: str) -> None:
        routing = policy["TrafficRoutingConfiguration"]
        where = f"{at}.TrafficRoutingConfiguration"
        self._step_size(routing, where)
        steps = self._linear_steps(routing)
        waiting = (steps - 1) * routing["WaitIntervalInSeconds"] + policy.get("TerminationWaitInSeconds", 0)
        self._time_limit(policy, at, waiting, "WaitIntervalInSeconds and TerminationWaitInSeconds")

    def _step_size(self, routing: Mapping[str, Any], at: str) -> None:
        kind = routing["Type"]
        needed = _STEP_SIZES.get(kind)
        if needed is None:
            return
        [other] = set(_STEP_SIZES.values()) - {needed}
        if needed not in routing:
            example = "For example {'Type': 'CAPACITY_PERCENT', 'Value': 20}."
            self.refuse(f"{at}.{needed}", None, f"a size: traffic routing of type {kind} requires it", example)
        else:
            self._size(routing[needed], f"{at}.{needed}", needed)
        if other in routing:
            self.refuse(f"{at}.{other}", routing[other], f"nothing: a {kind} shift has a {needed}")

    def _rolling(self, policy: Mapping[str, Any], at: str) -> None:
        self._size(policy["MaximumBatchSize"], f"{at}.MaximumBatchSize", "MaximumBatchSize")
        back = policy.get("RollbackMaximumBatchSize", {})
        if back.get("Type") == "CAPACITY_PERCENT" and back["Value"] > 100:
            where = f"{at}.RollbackMaximumBatchSize.Value"
            self.refuse(
                where, back["Value"], "1 to 100 percent", "100 is the default: all instances come back at once."
            )
        self._one_variant(at)
        waiting = self._batches(policy["MaximumBatchSize"]) * policy["WaitIntervalInSeconds"]
        self._time_limit(policy, at, waiting, "WaitIntervalInSeconds, once for each batch")

    def _size(self, size: Mapping[str, Any], at: str, member: str) -> None:
        """Check that a size is an allowed part of every variant."""
        lowest, value = _LOWEST_PERCENT[member], size["Value"]
        if size["Type"] == "CAPACITY_PERCENT":
            if not lowest <= value <= _HIGHEST_PERCENT:
                self.refuse(f"{at}.Value", value, f"{lowest} to {_HIGHEST_PERCENT} percent")
            return
        # A canary is bounded above only: "less than or equal to 50% of the variant's total instance count".
        lowest = 0 if member == "CanarySize" else lowest
        for name, count in self.counts.items():
            percent = 100 * value / count
            if not lowest <= percent <= _HIGHEST_PERCENT:
                allowed = f"{lowest} to {_HIGHEST_PERCENT} percent of the {count} instance(s) of variant {name}"
                self.refuse(f"{at}.Value", value, allowed, "Give it more instances, or a size of CAPACITY_PERCENT.")

    def _one_variant(self, at: str) -> None:
        variants = self.config["ProductionVariants"]
        if len(variants) > 1:
            names = [variant["VariantName"] for variant in variants]
            self.refuse(at, names, "an endpoint with one variant: AWS rolls no other", "Use BlueGreenUpdatePolicy.")
        if any("ServerlessConfig" in variant for variant in variants):
            self.refuse(at, "ServerlessConfig", "an endpoint with instances: AWS rolls no serverless one")

    def _excluded_instances(self, at: str) -> None:
        for variant in self.config["ProductionVariants"]:
            kind = variant.get("InstanceType", "")
            if kind.startswith("ml.inf1."):
                remedy = "AWS would shift all traffic at once and watch nothing. Leave DeploymentConfig out."
                self.refuse(at, kind, "instances other than Inf1", remedy)

    def _time_limit(self, policy: Mapping[str, Any], at: str, waiting: int, members: str) -> None:
        """Check that there is time left beside the pauses."""
        limit = policy.get("MaximumExecutionTimeoutInSeconds")
        if limit is not None and limit <= waiting:
            where = f"{at}.MaximumExecutionTimeoutInSeconds"
            remedy = "Starting the instances takes its time besides."
            self.refuse(where, limit, f"more than the {waiting} s of waiting that {members} come to", remedy)

    def _linear_steps(self, routing: Mapping[str, Any]) -> int:
        """Return how many shifts there are, of several variants for the one with the fewest."""
        kind = routing["Type"]
        size = routing.get(_STEP_SIZES.get(kind, ""))
        if size is None:
            return 1
        return 2 if kind == "CANARY" else self._batches(size)

    def _batches(self, size: Mapping[str, Any]) -> int:
        """Return how many steps of a size make the whole, one if that depends on what is not known here."""
        value = size["Value"]
        if size["Type"] == "CAPACITY_PERCENT":
            # Of few instances a small percentage may be rounded to one whole instance.
            return min((min(count, math.ceil(100 / value)) for count in self.counts.values()), default=1)
        return min((math.ceil(count / value) for count in self.counts.values()), default=1)


def _counts(update: Mapping[str, Any], config: Mapping[str, Any]) -> dict[str, int]:
    """Return instances by variant; none where those that serve now decide, which only AWS knows."""
    excluded = [item["VariantPropertyType"] for item in update.get("ExcludeRetainedVariantProperties", [])]
    if update.get("RetainAllVariantProperties") and "DesiredInstanceCount" not in excluded:
        return {}
    variants = config["ProductionVariants"]
    return {item["VariantName"]: count for item in variants if (count := item.get("InitialInstanceCount", 0)) > 0}
