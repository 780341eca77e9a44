"""The decisions of a shift of traffic: how much next, when, and when it is enough.

Everything is read off the endpoint (its configuration, the weights, when they were changed), so that another try goes
on wherever an earlier one ended. Owns these decisions and makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError

if TYPE_CHECKING:
    from datetime import datetime

    from sagemaker_byoc.endpoint_status import EndpointLook

__all__ = [
    "Measured",
    "ShiftStep",
    "Tolerance",
    "TrafficLook",
    "TrafficPlan",
    "next_shift_step",
    "read_steps",
    "share_of",
]

_CLOSE = 0.05
"""In percent; AWS keeps weights as 32-bit numbers."""


class ShiftStep(Enum):
    """What to do next."""

    WAIT = "wait"
    SHIFT = "shift"
    BAKE = "bake"
    PROMOTE = "promote"
    DONE = "done"
    LOST = "lost"


@dataclass(frozen=True)
class TrafficLook:
    """What DescribeEndpoint said, with the traffic.

    :param variants: weight and number of instances by name
    :param modified: when the endpoint was changed last; that a change of weights counts is a guess, by the words
        "last modified" of the service model
    :param seen: when this was said, by AWS's clock too
    """

    endpoint: EndpointLook
    variants: Mapping[str, tuple[float, int]]
    modified: datetime
    seen: datetime

    @property
    def age_seconds(self) -> float:
        """Return how long the endpoint has been as it is."""
        return max(0.0, (self.seen - self.modified).total_seconds())


@dataclass(frozen=True)
class TrafficPlan:
    """Where the traffic of an endpoint is to go.

    :param combined: the configuration that holds both models
    :param final: the configuration that the candidate gets to itself
    :param weights: of the live variants, as they were before
    :param candidate: weights of the candidate's variants among themselves
    :param steps: shares in percent, ascending
    :param bake_seconds: how long each is watched
    """

    combined: str
    final: str
    weights: Mapping[str, float]
    candidate: Mapping[str, float]
    steps: Sequence[float] = (100.0,)
    bake_seconds: float = 0.0

    def share(self, look: TrafficLook) -> float:
        """Return the percentage of the traffic that the candidate gets."""
        return share_of(self.candidate, look.variants)

    def shift(self, percent: float) -> list[dict[str, Any]]:
        """Return the weights that give the candidate a share, as AWS takes them."""
        share = percent / 100.0
        scale = sum(self.weights.values()) / sum(self.candidate.values())
        weights = {name: weight * (1.0 - share) for name, weight in self.weights.items()}
        weights |= {name: weight * scale * share for name, weight in self.candidate.items()}
        return [{"VariantName": name, "DesiredWeight": weight} for name, weight in weights.items()]

    def number(self, share: float) -> int:
        """Return how many steps a share has reached; 0 before the first."""
        return sum(share >= step - _CLOSE for step in self.steps)


def share_of(names: Container[str], variants: Mapping[str, tuple[float, int]]) -> float:
    """Return the percentage of an endpoint's traffic that some of its variants get.

    :param variants: weight and number of instances by name
    """
    total = sum(weight for weight, _ in variants.values())
    mine = sum(weight for name, (weight, _) in variants.items() if name in names)
    return 100.0 * mine / total if total else 0.0


def next_shift_step(look: TrafficLook | None, plan: TrafficPlan, *, enough: bool = True) -> ShiftStep:
    """Decide from one look at the endpoint.

    :param look: None when the endpoint does not exist
    :param enough: whether what was measured says enough to go on when the time of a step is over
    """
    if look is None or look.endpoint.status == "Deleting":
        return ShiftStep.LOST
    if look.endpoint.changing:
        return ShiftStep.WAIT
    if look.endpoint.status != "InService":
        return ShiftStep.LOST
    if look.endpoint.live_config == plan.final:
        return ShiftStep.DONE
    if look.endpoint.live_config != plan.combined:
        return ShiftStep.LOST
    reached = plan.number(plan.share(look))
    if not reached:
        return ShiftStep.SHIFT
    if look.age_seconds < plan.bake_seconds or not (enough or look.age_seconds >= 2 * plan.bake_seconds):
        return ShiftStep.BAKE
    return ShiftStep.SHIFT if reached < len(plan.steps) else ShiftStep.PROMOTE


@dataclass(frozen=True)
class Measured:
    """What CloudWatch has counted of the candidate.

    :param errors: requests that the model failed, those left out that it blamed the client for
    :param latency_ms: average time of the model; None when nothing was measured
    """

    invocations: float = 0.0
    errors: float = 0.0
    latency_ms: float | None = None

    @property
    def error_share(self) -> float:
        """Return the share of failed requests, 0 to 1."""
        return self.errors / self.invocations if self.invocations else 0.0

    def __str__(self) -> str:
        latency = "" if self.latency_ms is None else f", {self.latency_ms:.1f} ms on average"
        return f"{self.invocations:g} requests, {self.errors:g} failed{latency}"


@dataclass(frozen=True)
class Tolerance:
    """What a candidate may do and still go on.

    :param maximum_error_share: 0 to 1
    :param maximum_latency_ms: of the average; None sets no limit
    :param minimum_invocations: below which nothing can be said
    :raises RequestError: a limit that nothing, or everything, would pass
    """

    maximum_error_share: float = 0.0
    maximum_latency_ms: float | None = None
    minimum_invocations: int = 1

    def __post_init__(self) -> None:
        if not 0.0 <= self.maximum_error_share < 1.0:
            allowed = "a share from 0 to below 1, for example 0.01"
            raise RequestError("maximum_error_share", self.maximum_error_share, allowed)
        if self.maximum_latency_ms is not None and not self.maximum_latency_ms > 0:
            raise RequestError("maximum_latency_ms", self.maximum_latency_ms, "more than 0, or None for no limit")

    def says_enough(self, measured: Measured) -> bool:
        """Say whether there were requests enough to judge by."""
        return measured.invocations >= self.minimum_invocations

    def breach(self, measured: Measured) -> str:
        """Return which limit was missed, by how much; empty when none was or nothing can be said yet."""
        if not self.says_enough(measured):
            return ""
        if measured.error_share > self.maximum_error_share:
            return (
                f"{measured.errors:g} of {measured.invocations:g} requests failed ({measured.error_share:.3f}), above "
                f"maximum_error_share {self.maximum_error_share:g}"
            )
        slowest = self.maximum_latency_ms
        if slowest is not None and measured.latency_ms is not None and measured.latency_ms > slowest:
            return (
                f"the model took {measured.latency_ms:.1f} ms on average over {measured.invocations:g} requests, above "
                f"maximum_latency_ms {slowest:g}"
            )
        return ""


def read_steps(given: Any) -> list[float]:
    """Read the steps, as a list, its JSON, or numbers with commas between them; None stands for all at once.

    :raises RequestError: they do not ascend to 100
    """
    allowed = "percentages that ascend to 100, for example [10, 50, 100]"
    try:
        found = _parsed(given)
        steps = [float(step) for step in found]
    except (TypeError, ValueError) as error:
        raise RequestError("steps", given, allowed) from error
    ascends = all(low < high for low, high in zip([0.0, *steps], steps, strict=False))
    if not steps or not ascends or steps[-1] != 100.0:
        raise RequestError("steps", given, allowed)
    return steps


def _parsed(given: Any) -> Any:
    if given is None:
        return [100.0]
    if isinstance(given, str):
        text = given.strip()
        if text in ("", "None"):
            return [100.0]
        return json.loads(text) if text.startswith("[") else text.split(",")
    if isinstance(given, Sequence):
        return given
    return [given]
