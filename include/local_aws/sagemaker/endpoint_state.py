"""What is known of one endpoint, in the form in which DescribeEndpoint tells it.

Owns status, times, the live configuration's name and who is told about changes. Must not know how a fleet is run.
Safe to use from several threads.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from local_aws.sagemaker.fleet import Fleet, VariantFleet

__all__ = ["IN_PROGRESS", "EndpointState", "describe_variants"]

IN_PROGRESS = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})
_REASON_CHARACTERS = 1024
"""Longest FailureReason (service model)."""


@dataclass
class EndpointState:
    """The facts about one endpoint.

    :param config_name: of the configuration that serves, or is to serve first
    :param on_change: told after every change of status
    :param on_progress: told whenever a deployment comes to a new stage
    """

    name: str
    arn: str
    config_name: str
    on_change: Callable[[EndpointState], None]
    on_progress: Callable[[EndpointState], None]
    status: str = "Creating"
    failure_reason: str | None = None
    deployment_config: Mapping[str, Any] | None = None
    pending: dict[str, Any] | None = None
    created: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))
    modified: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))
    _lock: threading.RLock = field(default_factory=threading.RLock, repr=False)

    def move(
        self, status: str, *, reason: str | None = None, config_name: str | None = None, expected: str | None = None
    ) -> bool:
        """Change the status, and with it what belongs to it, and tell about it.

        :param reason: FailureReason from now on; None forgets an earlier one
        :param config_name: of the configuration that is live from now on
        :param expected: move only if this is the status now
        :return: whether the status was changed
        """
        with self._lock:
            if expected is not None and self.status != expected:
                return False
            self.status = status
            self.failure_reason = reason[:_REASON_CHARACTERS] if reason else None
            self.config_name = config_name or self.config_name
            self.modified = dt.datetime.now(dt.timezone.utc)
            if status not in IN_PROGRESS:
                self.pending = None
        self.on_change(self)
        return True

    def describe(self, live: Fleet | None, coming: Fleet | None) -> dict[str, Any]:
        """Return the endpoint as it is now.

        :param live: the fleet of the live configuration
        :param coming: the one that is being deployed
        """
        with self._lock:
            return {
                "EndpointName": self.name,
                "EndpointArn": self.arn,
                "EndpointConfigName": self.config_name,
                "EndpointStatus": self.status,
                "FailureReason": self.failure_reason,
                "CreationTime": self.created,
                "LastModifiedTime": self.modified,
                "LastDeploymentConfig": self.deployment_config,
                "PendingDeploymentSummary": self.describe_pending(coming),
                **_of_fleet(live),
            }

    def describe_pending(self, coming: Fleet | None) -> dict[str, Any] | None:
        """Return the deployment in progress alone; None when there is none."""
        with self._lock:
            return self.pending and {**self.pending, **_of_fleet(coming)}


def _of_fleet(fleet: Fleet | None) -> dict[str, Any]:
    if fleet is None:
        return {}
    return {
        "ProductionVariants": describe_variants(fleet.variants) or None,
        "ShadowProductionVariants": describe_variants(fleet.shadows) or None,
    }


def describe_variants(variants: Sequence[VariantFleet]) -> list[dict[str, Any]]:
    """Return variants as ``ProductionVariantSummary`` has them."""
    return [
        {
            "VariantName": fleet.variant.name,
            "DeployedImages": [
                {
                    "SpecifiedImage": fleet.plan.container.image,
                    "ResolvedImage": fleet.plan.image,
                    "ResolutionTime": fleet.resolved,
                }
            ],
            "CurrentWeight": fleet.weight,
            "DesiredWeight": fleet.desired.weight,
            "CurrentInstanceCount": len(fleet.serving),
            "DesiredInstanceCount": fleet.desired.count,
            **_stage_of(fleet),
        }
        for fleet in variants
    ]


def _stage_of(fleet: VariantFleet) -> dict[str, Any]:
    stage = fleet.stage
    if stage is None:
        return {}
    return {"VariantStatus": [{"Status": stage.status, "StatusMessage": stage.message, "StartTime": stage.since}]}
