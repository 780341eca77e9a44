"""How an update moves the traffic: which share at which moment, and how long each is watched.

Owns the reading of ``DeploymentConfig`` and the arithmetic of its sizes. Must not know fleets, clocks or alarms.
Source of the order of things: the developer guide's pages on deployment guardrails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Rollout", "Size", "Step"]

_CANARY, _FULL, _PART = "canary capacity", "full capacity", "capacity"
"""What VariantStatus calls the capacity that gets traffic. The last of them is a guess."""
_INTERVAL, _TERMINATION = "WaitIntervalInSeconds", "TerminationWaitInSeconds"
_SIZES = {"CANARY": "CanarySize", "LINEAR": "LinearStepSize"}


@dataclass(frozen=True)
class Size:
    """A part of a fleet, as a number of instances or as a percentage."""

    value: int
    is_count: bool

    @classmethod
    def of(cls, size: Mapping[str, Any]) -> Size:
        """Read a ``CapacitySize``."""
        return cls(size["Value"], size["Type"] == "INSTANCE_COUNT")

    def share(self, total: int) -> Fraction:
        """Return the part of this many instances that it is, at most all of them."""
        return min(Fraction(1), Fraction(self.value, total if self.is_count else 100))

    def instances(self, total: int) -> int:
        """Return it as whole instances: never more than asked for, but one at least."""
        return max(1, math.floor(self.share(total) * total))


@dataclass(frozen=True)
class Step:
    """One shift of traffic and the watch over it.

    :param share: of the traffic, for the new fleet from now on
    :param bake_seconds: how long it is watched before the next step
    :param waits_for: the member of the request that says so
    :param capacity: VariantStatus's words for what gets the traffic
    """

    share: Fraction
    bake_seconds: int
    waits_for: str
    capacity: str

    def instances(self, total: int) -> int:
        """Return how many instances of a variant get the share; a part of one counts as one."""
        return math.ceil(self.share * total)


@dataclass(frozen=True)
class Rollout:
    """What a ``DeploymentConfig`` asks for; by default blue/green with all traffic at once, as on AWS.

    :param size: of the canary, of a linear step, or of a rolling batch; None shifts everything at once
    :param is_repeated: whether each further step is of that size too, or shifts all of the rest
    :param is_rolling: whether old instances end with each step instead of all together
    :param interval_seconds: how long each step but the last is watched; of a rolling one the last, too
    :param termination_seconds: how long the last step is watched before the old fleet ends
    :param limit_seconds: the time that the whole may take
    :param rollback_size: how many old instances come back at a time in a rolling rollback; None is all
    :param alarms: names of the CloudWatch alarms that end it
    """

    size: Size | None = None
    is_repeated: bool = False
    is_rolling: bool = False
    interval_seconds: int = 0
    termination_seconds: int = 0
    limit_seconds: int | None = None
    rollback_size: Size | None = None
    alarms: tuple[str, ...] = ()

    @classmethod
    def of(cls, config: Mapping[str, Any] | None) -> Rollout:
        """Read a ``DeploymentConfig``; none, or one without a policy, means the default.

        :raises AwsError: ``ValidationException`` for what contradicts itself; the wordings are guesses
        """
        config = config or {}
        listed = config.get("AutoRollbackConfiguration", {}).get("Alarms", [])
        if not all("AlarmName" in alarm for alarm in listed):
            raise validation("Every alarm in AutoRollbackConfiguration needs an AlarmName.")
        alarms = tuple(alarm["AlarmName"] for alarm in listed)
        blue_green, rolling = config.get("BlueGreenUpdatePolicy"), config.get("RollingUpdatePolicy")
        if blue_green and rolling:
            message = "Only one update policy can be specified: BlueGreenUpdatePolicy or RollingUpdatePolicy."
            raise validation(message)
        if rolling:
            return cls._rolling(rolling, alarms)
        return cls._blue_green(blue_green, alarms) if blue_green else cls(alarms=alarms)

    @classmethod
    def _rolling(cls, policy: Mapping[str, Any], alarms: tuple[str, ...]) -> Rollout:
        size, back = Size.of(policy["MaximumBatchSize"]), policy.get("RollbackMaximumBatchSize")
        _refuse_outside(size, 5, 50, "MaximumBatchSize")
        return cls(
            size=size,
            is_repeated=True,
            is_rolling=True,
            interval_seconds=policy[_INTERVAL],
            limit_seconds=policy.get("MaximumExecutionTimeoutInSeconds"),
            rollback_size=Size.of(back) if back else None,
            alarms=alarms,
        )

    @classmethod
    def _blue_green(cls, policy: Mapping[str, Any], alarms: tuple[str, ...]) -> Rollout:
        routing = policy["TrafficRoutingConfiguration"]
        kind = routing["Type"]
        size = _step_size(kind, routing)
        return cls(
            size=size,
            is_repeated=kind == "LINEAR",
            interval_seconds=routing[_INTERVAL],
            termination_seconds=policy.get(_TERMINATION, 0),
            limit_seconds=policy.get("MaximumExecutionTimeoutInSeconds"),
            alarms=alarms,
        )

    def refuse_unfit(self, counts: Mapping[str, int]) -> None:
        """Refuse a size in instances that is too small or too large a part of a variant.

        :param counts: instances of the new fleet by variant
        :raises AwsError: ``ValidationException``, whose wording is a guess
        """
        if self.is_rolling and len(counts) > 1:
            # Developer guide, "Exclusions" of deployment guardrails.
            raise validation("A rolling deployment is not supported for an endpoint with several variants.")
        if self.size is None or not self.size.is_count:
            return
        lowest = 5 if self.is_rolling else 10 if self.is_repeated else 0
        for name, count in counts.items():
            percent = 100 * self.size.value / count
            if not lowest <= percent <= 50:
                message = (
                    f"A step of {self.size.value} instance(s) is {percent:g}% of variant {name}, which has {count}; "
                    f"it must be {lowest}-50%."
                )
                raise validation(message)

    def steps(self, total: int) -> list[Step]:
        """Return the shifts of traffic in their order; after the last one the old fleet gets nothing.

        :param total: instances of the new fleet's variant; of several the smallest one
        """
        if self.is_rolling and self.size is not None:
            batch = self.size.instances(total)
            shares = [Fraction(min(done, total), total) for done in range(batch, total + batch, batch)]
            return [self._step(share, self.interval_seconds, _INTERVAL) for share in shares]
        last = self._step(Fraction(1), self.termination_seconds, _TERMINATION)
        return [*(self._step(share, self.interval_seconds, _INTERVAL) for share in self._parts(total)), last]

    def rollback_batch(self, total: int) -> int:
        """Return how many of the old fleet's instances come back at a time."""
        return total if self.rollback_size is None else self.rollback_size.instances(total)

    def _parts(self, total: int) -> list[Fraction]:
        """Return the shares before the last step."""
        if self.size is None:
            return []
        share = self.size.share(total)
        if not self.is_repeated:
            return [share]
        return [number * share for number in range(1, math.ceil(1 / share))]

    def _step(self, share: Fraction, seconds: int, waits_for: str) -> Step:
        part = _PART if self.is_repeated else _CANARY
        return Step(share, seconds, waits_for, _FULL if share == 1 else part)


def _step_size(kind: str, routing: Mapping[str, Any]) -> Size | None:
    member = _SIZES.get(kind)
    if member is None:
        return None
    if member not in routing:
        message = f"{member} is required for traffic routing of type {kind}."
        raise validation(message)
    size = Size.of(routing[member])
    _refuse_outside(size, 10 if kind == "LINEAR" else 1, 50, member)
    return size


def _refuse_outside(size: Size, lowest: int, highest: int, member: str) -> None:
    if not size.is_count and not lowest <= size.value <= highest:
        message = f"{member} must be {lowest}-{highest}% of the variant's total instance count, got {size.value}%."
        raise validation(message)
