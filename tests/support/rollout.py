"""Deployment configurations with pauses of seconds, for tests of what AWS does in minutes."""

from __future__ import annotations

from typing import Any

__all__ = ["blue_green", "count", "guarded", "percent", "rolling"]


def percent(value: int) -> dict[str, Any]:
    """Return a CapacitySize in percent."""
    return {"Type": "CAPACITY_PERCENT", "Value": value}


def count(value: int) -> dict[str, Any]:
    """Return a CapacitySize in instances."""
    return {"Type": "INSTANCE_COUNT", "Value": value}


def blue_green(kind: str, size: dict[str, Any] | None = None, wait: int = 0, termination: int = 0) -> dict[str, Any]:
    """Return a DeploymentConfig with this kind of traffic routing."""
    member = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}.get(kind, "")
    routing = {"Type": kind, "WaitIntervalInSeconds": wait, **({member: size} if size else {})}
    policy = {"TrafficRoutingConfiguration": routing, "TerminationWaitInSeconds": termination}
    return {"BlueGreenUpdatePolicy": policy}


def rolling(size: dict[str, Any], wait: int = 0, back: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return a DeploymentConfig with a rolling update."""
    policy = {"MaximumBatchSize": size, "WaitIntervalInSeconds": wait}
    return {"RollingUpdatePolicy": {**policy, **({"RollbackMaximumBatchSize": back} if back else {})}}


def guarded(deployment: dict[str, Any], *alarms: str) -> dict[str, Any]:
    """Return a DeploymentConfig with alarms."""
    return {**deployment, "AutoRollbackConfiguration": {"Alarms": [{"AlarmName": name} for name in alarms]}}
