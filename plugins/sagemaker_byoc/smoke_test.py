"""The verdict over an endpoint: what it answered, how fast, and whether that is good enough.

Owns the report, its table and the limits. Makes no request and ends no task: what follows from a verdict is decided
by the caller. Knows neither Airflow nor AWS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, overload

from sagemaker_byoc.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagemaker_byoc.prediction import Prediction

__all__ = ["Answer", "Limits", "SmokeTestReport", "number", "percentile"]


@dataclass(frozen=True)
class Answer:
    """One record's right answer beside the endpoint's.

    :param record: position in the input, from 1
    """

    record: int
    label: str
    prediction: Prediction
    correct: bool


@dataclass(frozen=True)
class Limits:
    """What an endpoint must reach.

    :param minimum_accuracy: lowest share of right answers, 0 to 1
    :param maximum_latency_ms: highest 95th percentile of a request's time; None sets no limit
    :param minimum_records: fewest records that say anything
    :param tolerance: of a regression, the largest difference that counts as right
    :raises RequestError: a limit that nothing, or everything, would pass
    """

    minimum_accuracy: float = 0.9
    maximum_latency_ms: float | None = None
    minimum_records: float = 1
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.minimum_accuracy <= 1.0:
            raise RequestError("minimum_accuracy", self.minimum_accuracy, "a share from 0 to 1, for example 0.9")
        if self.maximum_latency_ms is not None and not self.maximum_latency_ms > 0:
            raise RequestError("maximum_latency_ms", self.maximum_latency_ms, "more than 0, or None for no limit")
        if self.minimum_records < 1 or self.minimum_records != int(self.minimum_records):
            raise RequestError("minimum_records", self.minimum_records, "a whole number, 1 or more")
        if self.tolerance is not None and self.tolerance < 0:
            raise RequestError("tolerance", self.tolerance, "0 or more, or None for exact answers")


@dataclass(frozen=True)
class SmokeTestReport:
    """Everything that was observed.

    :param variant: the variant that answered last, as AWS named it
    :param latencies_ms: one per measured request, in milliseconds
    """

    endpoint_name: str
    variant: str | None
    answers: Sequence[Answer]
    latencies_ms: Sequence[float]
    limits: Limits

    @property
    def correct(self) -> int:
        """Count the right answers."""
        return sum(answer.correct for answer in self.answers)

    @property
    def accuracy(self) -> float:
        """Return the share of right answers, 0 to 1."""
        return self.correct / len(self.answers)

    def violations(self) -> list[str]:
        """List each limit that was missed, as a sentence; empty means passed."""
        found = []
        if self.accuracy < self.limits.minimum_accuracy:
            found.append(
                f"accuracy {self.accuracy:.3f} ({self.correct} of {len(self.answers)} right) is below "
                f"minimum_accuracy {self.limits.minimum_accuracy:g}"
            )
        ceiling = self.limits.maximum_latency_ms
        p95 = percentile(self.latencies_ms, 95)
        if ceiling is not None and p95 > ceiling:
            found.append(f"p95 latency {p95:.1f} ms is above maximum_latency_ms {ceiling:g}")
        return found

    def as_json(self, maximum_predictions: int) -> dict[str, Any]:
        """Return the report as small JSON data.

        :param maximum_predictions: list at most so many predictions, the wrong ones first
        """
        listed = sorted(self.answers, key=lambda answer: answer.correct)[:maximum_predictions]
        return {
            "endpoint_name": self.endpoint_name,
            "variant": self.variant,
            "records": len(self.answers),
            "correct": self.correct,
            "accuracy": self.accuracy,
            "minimum_accuracy": self.limits.minimum_accuracy,
            "maximum_latency_ms": self.limits.maximum_latency_ms,
            "latency_ms": self.latency_ms(),
            "predictions": [
                {
                    "record": answer.record,
                    "label": answer.label,
                    "prediction": answer.prediction,
                    "correct": answer.correct,
                }
                for answer in sorted(listed, key=lambda answer: answer.record)
            ],
            "passed": not self.violations(),
        }

    def latency_ms(self) -> dict[str, float]:
        """Return the median, 95th percentile and maximum of a request's time, in milliseconds."""
        latencies = self.latencies_ms
        named = {"p50": percentile(latencies, 50), "p95": percentile(latencies, 95), "max": max(latencies)}
        return {name: round(value, 3) for name, value in named.items()}

    def summary(self) -> str:
        """Return one line with the counts and times."""
        times = " ".join(f"{name} {value:.1f}" for name, value in self.latency_ms().items())
        share = f"{self.correct} of {len(self.answers)} right (accuracy {self.accuracy:.3f})"
        return f"{self.endpoint_name}/{self.variant}: {share}, latency in ms: {times}"

    def table(self, maximum_rows: int, *, only_wrong: bool = False) -> str:
        """Return record, label, prediction and whether they agree, as aligned text."""
        wanted = [answer for answer in self.answers if not (only_wrong and answer.correct)]
        rows = [("record", "label", "prediction", "correct?")]
        rows += [
            (str(answer.record), answer.label, str(answer.prediction), "yes" if answer.correct else "NO")
            for answer in wanted[:maximum_rows]
        ]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        hidden = len(wanted) - maximum_rows
        return "\n".join([*lines, f"... and {hidden} more"] if hidden > 0 else lines)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least so many percent do not exceed."""
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]


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
