"""Whether a new model is good enough to take the champion's place.

Owns the criteria, the comparison, its table, and how a later task reads it. Makes no call and ends no task: where the
metrics come from and what follows from a verdict is the caller's. Knows neither Airflow nor AWS.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.held_out import MEAN_ABSOLUTE_ERROR, is_held_out
from sagemaker_byoc.limit import number
from sagemaker_byoc.request import read_mapping
from sagemaker_byoc.text_table import aligned

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Challenge", "Comparison", "Criterion", "Defeat", "PastChallenge", "read_criteria"]

GOALS = ("maximize", "minimize")
MEMBERS = ("goal", "margin", "limit")
DIGITS = 9
"""To which differences are rounded: metrics come with six digits, and 0.3 - 0.2 is a little less than 0.1."""

HEADER = ("metric", "goal", "challenger", "champion", "margin", "limit", "verdict")


@dataclass(frozen=True)
class Criterion:
    """What one metric has to reach.

    :param goal: ``maximize`` or ``minimize``
    :param margin: how much better than the champion's it has to be; 0 is content with as good, and less than 0 with a
        little worse
    :param limit: the worst value that passes, with or without a champion
    """

    metric: str
    goal: str
    margin: float = 0.0
    limit: float | None = None

    def gain(self, value: float, over: float) -> float:
        """Return how much better a value is than another; less than 0 when it is worse."""
        return round(value - over if self.goal == "maximize" else over - value, DIGITS)


@dataclass(frozen=True)
class Comparison:
    """The two models in one metric.

    :param champion: None when there is no champion
    """

    criterion: Criterion
    challenger: float
    champion: float | None

    @property
    def reasons(self) -> list[str]:
        """Why the challenger does not pass; empty when it does. A metric that is no number never passes."""
        metric, limit, margin = self.criterion.metric, self.criterion.limit, self.criterion.margin
        found = []
        if limit is not None and not self.criterion.gain(self.challenger, limit) >= 0:
            found.append(f"{metric} {self.challenger:g} is worse than its limit {limit:g}")
        if self.champion is not None and not self.criterion.gain(self.challenger, self.champion) >= margin:
            wanted = f" by at least {margin:g}" if margin > 0 else f" within {-margin:g}" if margin < 0 else ""
            word = "better than" if margin > 0 else "as good as"
            found.append(f"{metric} {self.challenger:g} is not {word} the champion's {self.champion:g}{wanted}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the comparison as small JSON data."""
        return {
            "metric": self.criterion.metric,
            "goal": self.criterion.goal,
            "challenger": self.challenger,
            "champion": self.champion,
            "margin": self.criterion.margin,
            "limit": self.criterion.limit,
            "passed": not self.reasons,
        }


@dataclass(frozen=True)
class Challenge:
    """The two models in all metrics that count."""

    comparisons: Sequence[Comparison]

    @classmethod
    def between(
        cls, criteria: Sequence[Criterion], challenger: Mapping[str, float], champion: Mapping[str, float] | None
    ) -> Challenge:
        """Compare two models.

        :param challenger: value by metric
        :param champion: value by metric; None when there is none to win against
        :raises RequestError: one of them lacks a metric that counts
        """
        return cls(
            [
                Comparison(
                    criterion,
                    _value(challenger, criterion.metric, "challenger"),
                    None if champion is None else _value(champion, criterion.metric, "champion"),
                )
                for criterion in criteria
            ]
        )

    @property
    def reasons(self) -> list[str]:
        """Why the challenger does not pass; empty when it does."""
        return [reason for comparison in self.comparisons for reason in comparison.reasons]

    def table(self) -> str:
        """Return the comparison as aligned text."""
        return "\n".join(aligned([HEADER, *(_row(comparison) for comparison in self.comparisons)]))


@dataclass(frozen=True)
class Defeat:
    """Why a model must not be deployed.

    :param is_compared: whether it lost a comparison; otherwise nobody has compared the two yet
    """

    reason: str
    is_compared: bool = True


@dataclass(frozen=True)
class PastChallenge:
    """What ``EvaluateChallengerOperator`` found, as a later task reads it.

    :param training_job: the challenger's
    :param model_package: ARN of the challenger's own version; None when it is not known
    :param champion: ARN of the version that was champion then; None when there was none
    :param metrics: the challenger's value by metric
    :param reasons: why it did not pass; empty when it did
    :param held_out: digest of the held-out set that both were asked; empty when there was none
    """

    group: str
    training_job: str
    model_package: str | None
    champion: str | None
    criteria: Sequence[Criterion]
    metrics: Mapping[str, float]
    reasons: Sequence[str]
    held_out: str = ""

    @classmethod
    def of(cls, given: Any, field: str = "challenge") -> PastChallenge | None:
        """Read the operator's result, also as JSON; None stands for none.

        :raises RequestError: it is something else
        """
        found = read_mapping(given, field)
        if found is None:
            return None
        try:
            challenger, champion, compared = found["challenger"], found["champion"], found["comparison"]
            return cls(
                group=challenger["model_package_group"],
                training_job=challenger["training_job_name"],
                model_package=challenger["model_package_arn"],
                champion=champion["model_package_arn"] if champion else None,
                criteria=[Criterion(one["metric"], one["goal"], one["margin"], one["limit"]) for one in compared],
                metrics={one["metric"]: one["challenger"] for one in compared},
                reasons=found["reasons"],
                held_out=(found.get("held_out") or {}).get("digest", ""),
            )
        except (KeyError, TypeError) as error:
            raise RequestError(field, given, "what EvaluateChallengerOperator returned, or nothing") from error

    def missing_from(self, champion: Mapping[str, float]) -> list[str]:
        """Return the metrics of the held-out set that another champion was never asked.

        :param champion: value by metric, of this set only
        """
        return [name for name in self.metrics if is_held_out(name) and name not in champion]

    def against(self, champion: Mapping[str, float]) -> Challenge:
        """Compare the same model with another champion.

        :param champion: value by metric
        :raises RequestError: it lacks a metric that counts
        """
        return Challenge.between(self.criteria, self.metrics, champion)


def read_criteria(given: Any, field: str = "criteria") -> list[Criterion]:
    """Read what a DAG's author gave: by metric a goal, or an object with ``goal``, ``margin`` and ``limit``.

    :param field: how messages name it
    :raises RequestError: it is something else, or empty
    """
    if not isinstance(given, Mapping) or not given:
        remedy = "For example {'validation:accuracy': 'maximize'}."
        raise RequestError(field, given, "an object with at least one metric", remedy)
    return [_criterion(str(metric), value, f"{field}.{metric}") for metric, value in given.items()]


def _criterion(metric: str, given: Any, field: str) -> Criterion:
    facts: Mapping[str, Any] = {"goal": given} if isinstance(given, str) else given
    if not isinstance(facts, Mapping):
        raise RequestError(field, given, f"{' or '.join(GOALS)}, or an object with {', '.join(MEMBERS)}")
    for member in facts:
        if member not in MEMBERS:
            raise RequestError(f"{field}.{member}", facts[member], f"one of the members {', '.join(MEMBERS)}")
    if facts.get("goal") not in GOALS:
        raise RequestError(f"{field}.goal", facts.get("goal"), " or ".join(GOALS))
    margin = number(f"{field}.margin", facts.get("margin"), missing=0.0)
    return Criterion(metric, facts["goal"], margin, number(f"{field}.limit", facts.get("limit")))


def _value(metrics: Mapping[str, float], metric: str, whose: str) -> float:
    if metric not in metrics:
        names = ", ".join(sorted(metrics)) or "none: it has no metrics at all"
        remedy = {
            "challenger": (
                "Metrics are what the job's MetricDefinitions find in the container's output, and what a held-out set "
                f"gives: {MEAN_ABSOLUTE_ERROR} only where all answers are finite numbers."
            ),
            "champion": "Leave the metric out, or approve a version that has it.",
        }
        raise RequestError(f"criteria.{metric}", metric, f"a metric of the {whose}: {names}", remedy[whose])
    return metrics[metric]


def _row(comparison: Comparison) -> tuple[str, ...]:
    criterion, champion = comparison.criterion, comparison.champion
    return (
        criterion.metric,
        criterion.goal,
        f"{comparison.challenger:g}",
        "-" if champion is None else f"{champion:g}",
        f"{criterion.margin:g}",
        "-" if criterion.limit is None else f"{criterion.limit:g}",
        "NOT GOOD ENOUGH" if comparison.reasons else "passes",
    )
