"""What an endpoint must reach in a smoke test.

Owns the limits, how they are read from what a template made of them, and which of them make sense. Knows neither
Airflow nor AWS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import overload

from sagemaker_byoc.errors import RequestError

__all__ = ["CEILINGS", "Limits", "count", "number"]

CEILINGS = {"maximum_p50_latency_ms": 50, "maximum_latency_ms": 95, "maximum_p99_latency_ms": 99}
"""The percentile that each limit on the latency is about, in ascending order."""


@dataclass(frozen=True)
class Limits:
    """What an endpoint must reach.

    :param minimum_accuracy: lowest share of right answers, 0 to 1
    :param maximum_latency_ms: highest 95th percentile of a request's time; None sets no limit
    :param minimum_records: fewest records that say anything
    :param tolerance: of a regression, the largest difference that counts as right
    :param maximum_p50_latency_ms: highest median of a request's time; None sets no limit
    :param maximum_p99_latency_ms: highest 99th percentile of a request's time; None sets no limit
    :raises RequestError: a limit that nothing, or everything, would pass
    """

    minimum_accuracy: float = 0.9
    maximum_latency_ms: float | None = None
    minimum_records: float = 1
    tolerance: float | None = None
    maximum_p50_latency_ms: float | None = None
    maximum_p99_latency_ms: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.minimum_accuracy <= 1.0:
            raise RequestError("minimum_accuracy", self.minimum_accuracy, "a share from 0 to 1, for example 0.9")
        count("minimum_records", self.minimum_records)
        if self.tolerance is not None and self.tolerance < 0:
            raise RequestError("tolerance", self.tolerance, "0 or more, or None for exact answers")
        self._check_ceilings()

    def _check_ceilings(self) -> None:
        lower = ""
        for name in self.ceilings():
            given = getattr(self, name)
            if not given > 0:
                raise RequestError(name, given, "more than 0, or None for no limit")
            if lower and getattr(self, lower) > given:
                remedy = "A lower percentile is never above a higher one, so its limit would say nothing."
                raise RequestError(lower, getattr(self, lower), f"at most {name}, which is {given:g}", remedy)
            lower = name

    def ceilings(self) -> dict[str, int]:
        """Return the percentile of each limit on the latency that is set."""
        return {name: percent for name, percent in CEILINGS.items() if getattr(self, name) is not None}


@overload
def number(field: str, given: float | str | None, missing: float) -> float: ...
@overload
def number(field: str, given: float | str | None, missing: None = None) -> float | None: ...


def number(field: str, given: float | str | None, missing: float | None = None) -> float | None:
    """Read a number that a template has turned into text.

    :param missing: what an empty text or ``None`` stands for
    :raises RequestError: it is no number, or none that is finite
    """
    if given is None or str(given).strip() in ("", "None"):
        return missing
    try:
        value = float(given)
    except ValueError as error:
        raise RequestError(field, given, "a number") from error
    if not math.isfinite(value):
        raise RequestError(field, given, "a finite number")
    return value


def count(field: str, given: float | str | None) -> int:
    """Read a number of things, which a template may have turned into text; an empty text or ``None`` stands for 1.

    :raises RequestError: it is no whole number, or less than 1
    """
    value = number(field, given, missing=1.0)
    if value < 1 or value != int(value):
        raise RequestError(field, given, "a whole number, 1 or more")
    return int(value)
