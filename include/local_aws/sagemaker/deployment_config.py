"""How an update moves the traffic.

Owns the reading of ``DeploymentConfig`` and what of it the local AWS carries out. Must not know fleets.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rollout"]


@dataclass(frozen=True)
class Rollout:
    """Blue/green with all traffic at once, AWS's default.

    :param wait_seconds: how long the old fleet is kept after the traffic has moved
    """

    wait_seconds: float = 0.0

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> Rollout:
        """Read a ``DeploymentConfig``; none means the default.

        :raises AwsError: ``ValidationException`` for what would silently be done differently than asked
        """
        if not config:
            return cls()
        policy = config.get("BlueGreenUpdatePolicy")
        kind = policy["TrafficRoutingConfiguration"]["Type"] if policy else None
        if kind != "ALL_AT_ONCE" or "RollingUpdatePolicy" in config or "AutoRollbackConfiguration" in config:
            asked = [name for name in ("RollingUpdatePolicy", "AutoRollbackConfiguration") if name in config]
            what = " and ".join([*asked, *([f"traffic routing {kind}"] if kind and kind != "ALL_AT_ONCE" else [])])
            message = (
                f"DeploymentConfig asks for {what or 'no policy'}: the local AWS carries out BlueGreenUpdatePolicy "
                "with TrafficRoutingConfiguration.Type ALL_AT_ONCE, without alarms"
            )
            raise validation(message)
        baking = policy["TrafficRoutingConfiguration"]["WaitIntervalInSeconds"] if policy else 0
        return cls(float(baking + (policy or {}).get("TerminationWaitInSeconds", 0)))
