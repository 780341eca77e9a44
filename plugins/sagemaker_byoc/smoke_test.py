"""The verdict over an endpoint: what it answered, how fast, and whether that is good enough.

Owns the report. Makes no request and ends no task: what follows from a verdict is decided by the caller. Knows neither
Airflow nor AWS.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.answer_table import answer_table
from sagemaker_byoc.limit import CEILINGS, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from sagemaker_byoc.prediction import Prediction

__all__ = ["Answer", "SmokeTestReport", "VariantReport", "percentile"]


@dataclass(frozen=True)
class Answer:
    """One record's right answer beside the endpoint's.

    :param record: position in the input, from 1
    :param why: what a checker says against the prediction
    :param every: the predictions of all repeats
    """

    record: int
    label: str
    prediction: Prediction
    correct: bool
    why: str = ""
    every: tuple[Prediction, ...] = ()

    @classmethod
    def of_repeats(cls, answers: Sequence[Answer]) -> Answer:
        """Bring a record's answers of all repeats to one, which is right only if each of them is."""
        shown = next((answer for answer in answers if not answer.correct), answers[0])
        return replace(shown, every=tuple(answer.prediction for answer in answers))

    @property
    def stable(self) -> bool:
        """Say whether all repeats gave the same prediction; as text, in which not-a-number equals itself."""
        return len({repr(prediction) for prediction in self.every}) <= 1

    def as_json(self, *, repeated: bool) -> dict[str, Any]:
        """Return the answer as JSON data, with the predictions of all repeats if there are several."""
        return {
            "record": self.record,
            "label": self.label,
            "prediction": _plain(self.prediction),
            "correct": self.correct,
            **({"why": self.why} if self.why else {}),
            **({"every": [_plain(each) for each in self.every], "stable": self.stable} if repeated else {}),
        }


@dataclass(frozen=True)
class VariantReport:
    """What was observed of one variant.

    :param variant: as AWS named it; None when nothing told which one it was
    :param asked: number of records that it was asked about
    :param answers: one for each record that was answered
    :param latencies_ms: one per measured request, in milliseconds
    :param error: why it was not asked any further
    """

    variant: str | None
    asked: int
    answers: Sequence[Answer]
    latencies_ms: Sequence[float]
    limits: Limits
    error: str = ""

    @property
    def correct(self) -> int:
        """Count the right answers."""
        return sum(answer.correct for answer in self.answers)

    @property
    def accuracy(self) -> float:
        """Return the share of right answers, 0 to 1; what was not answered is not right."""
        return self.correct / self.asked

    @property
    def unstable(self) -> int:
        """Count the records that were answered differently from one repeat to another."""
        return sum(not answer.stable for answer in self.answers)

    def violations(self) -> list[str]:
        """List each limit that was missed, as a sentence, or the error of what did not answer; empty means passed."""
        return [self.error] if self.error else [*self._accuracy_violation(), *self._latency_violations()]

    def _accuracy_violation(self) -> Iterator[str]:
        if self.accuracy < self.limits.minimum_accuracy:
            unstable = f", {self.unstable} not the same in every repeat" if self.unstable else ""
            yield (
                f"accuracy {self.accuracy:.3f} ({self.correct} of {self.asked} right{unstable}) is below "
                f"minimum_accuracy {self.limits.minimum_accuracy:g}"
            )

    def _latency_violations(self) -> Iterator[str]:
        for name, percent in self.limits.ceilings().items():
            reached, ceiling = percentile(self.latencies_ms, percent), getattr(self.limits, name)
            if reached > ceiling:
                yield f"p{percent} latency {reached:.1f} ms is above {name} {ceiling:g}"

    def as_json(self) -> dict[str, Any]:
        """Return the counts and times as JSON data."""
        violations = self.violations()
        return {
            "variant": self.variant,
            "records": self.asked,
            "correct": self.correct,
            "accuracy": self.accuracy,
            "unstable": self.unstable,
            "latency_ms": latency_ms(self.latencies_ms),
            "violations": violations,
            "passed": not violations,
        }

    def summary(self) -> str:
        """Return one line with the counts and times."""
        times = " ".join(f"{name} {value:.1f}" for name, value in latency_ms(self.latencies_ms).items())
        unstable = f", {self.unstable} of them not the same in every repeat" if self.unstable else ""
        share = f"{self.correct} of {self.asked} right (accuracy {self.accuracy:.3f}){unstable}"
        return f"{self.variant}: {share}, latency in ms: {times or 'not measured'}"


@dataclass(frozen=True)
class SmokeTestReport:
    """Everything that was observed.

    :param variants: one for each variant that was asked by its name, or one for whichever the weights chose
    :param repeats: how often each record was asked
    """

    endpoint_name: str
    variants: Sequence[VariantReport]
    limits: Limits = field(default_factory=Limits)
    repeats: int = 1

    @property
    def failed_variants(self) -> list[str]:
        """Name the variants that missed a limit."""
        return [str(report.variant) for report in self.variants if report.violations()]

    @property
    def wrong(self) -> int:
        """Count the wrong answers; records without an answer are not among them."""
        return sum(not answer.correct for _, answer in self._answers())

    def violations(self) -> list[str]:
        """List each limit that was missed, as a sentence; empty means passed."""
        return [
            f"variant {report.variant}: {violation}" if self._is_named(report) else violation
            for report in self.variants
            for violation in report.violations()
        ]

    def as_json(self, maximum_predictions: int | None = None) -> dict[str, Any]:
        """Return the report as JSON data.

        :param maximum_predictions: list at most so many predictions, the wrong ones first; None lists all
        """
        asked = sum(report.asked for report in self.variants)
        correct = sum(report.correct for report in self.variants)
        several = len(self.variants) > 1
        violations = self.violations()
        return {
            "endpoint_name": self.endpoint_name,
            "variant": None if several else self.variants[0].variant,
            "records": asked,
            "correct": correct,
            "accuracy": correct / asked,
            "minimum_accuracy": self.limits.minimum_accuracy,
            **{name: getattr(self.limits, name) for name in CEILINGS},
            "latency_ms": latency_ms([time for report in self.variants for time in report.latencies_ms]),
            "repeats": self.repeats,
            "predictions": [
                {**({"variant": variant} if several else {}), **answer.as_json(repeated=self.repeats > 1)}
                for variant, answer in self._listed(maximum_predictions)
            ],
            "variants": [report.as_json() for report in self.variants],
            "violations": violations,
            "passed": not violations,
        }

    def summary(self) -> str:
        """Return a line with the counts and times of each variant."""
        return "\n".join(f"{self.endpoint_name}/{report.summary()}" for report in self.variants)

    def table(self, maximum_rows: int, *, only_wrong: bool = False) -> str:
        """Return record, label, prediction and whether they agree, as aligned text."""
        wanted = [(variant, answer) for variant, answer in self._answers() if not (only_wrong and answer.correct)]
        several, repeated = len(self.variants) > 1, self.repeats > 1
        return answer_table(wanted, maximum_rows, with_variant=several, with_repeats=repeated)

    def _answers(self) -> list[tuple[str | None, Answer]]:
        return [(report.variant, answer) for report in self.variants for answer in report.answers]

    def _listed(self, maximum: int | None) -> list[tuple[str | None, Answer]]:
        """Choose the answers that are worth most: the wrong ones, then the unstable ones; keep their order."""
        answers = self._answers()
        ranked = sorted(range(len(answers)), key=lambda place: (answers[place][1].correct, answers[place][1].stable))
        return [answers[place] for place in sorted(ranked[:maximum])]

    def _is_named(self, report: VariantReport) -> bool:
        return len(self.variants) > 1 or bool(report.error and report.variant)


def latency_ms(latencies: Sequence[float]) -> dict[str, float]:
    """Return median, 95th and 99th percentile and maximum of the times, in milliseconds; empty without times."""
    if not latencies:
        return {}
    named = {f"p{percent}": percentile(latencies, percent) for percent in CEILINGS.values()}
    return {name: round(value, 3) for name, value in {**named, "max": max(latencies)}.items()}


def _plain(prediction: Prediction) -> Prediction:
    """Return what JSON can hold, which has no word for infinity and not-a-number."""
    return prediction if not isinstance(prediction, float) or math.isfinite(prediction) else str(prediction)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the nearest-rank percentile: the smallest value that at least so many percent do not exceed."""
    rank = max(1, math.ceil(len(values) * percent / 100))
    return sorted(values)[rank - 1]
