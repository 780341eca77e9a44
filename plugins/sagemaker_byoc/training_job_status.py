"""What a training job's description means.

Owns the verdict on a status and the comparison of a job with a request. Functions over the answers of
DescribeTrainingJob; makes no call and knows no Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.training_log import output_ended_at_ms

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

__all__ = ["ENDED", "LOG_GROUP", "TrainingJobLook", "explain", "mismatches"]

LOG_GROUP = "/aws/sagemaker/TrainingJobs"
"""Where SageMaker writes the output of training containers."""

ENDED = frozenset({"Completed", "Failed", "Stopped"})
COMPARED = (
    "AlgorithmSpecification",
    "HyperParameters",
    "InputDataConfig",
    "ResourceConfig",
    "CheckpointConfig",
    "Environment",
)
OPEN = ("HyperParameters", "Environment")
PLATFORM_FAULTS = ("CapacityError", "InternalServerError")


@dataclass(frozen=True)
class TrainingJobLook:
    """A training job at one moment.

    :param status: TrainingJobStatus: InProgress, Completed, Failed, Stopping, Stopped, Deleting
    :param secondary_status: for example Downloading, Training, MaxRuntimeExceeded
    :param message: of the last status transition
    :param failure_reason: AWS's, at most 1,024 characters
    :param metrics: last value of each metric definition
    :param training_seconds: wall time of training, on one instance
    :param billable_seconds: what is paid for, on one instance
    :param output_ended_at_ms: when the containers can last have written, in milliseconds since 1970
    :param metric_definitions: ``Name`` and ``Regex`` of each metric that is read off the containers' output
    """

    name: str
    status: str
    secondary_status: str
    message: str = ""
    failure_reason: str = ""
    image_uri: str = ""
    model_artifacts: str = ""
    metrics: dict[str, float] | None = None
    training_seconds: int = 0
    billable_seconds: int = 0
    created_at: datetime | None = None
    output_ended_at_ms: int | None = None
    metric_definitions: Sequence[Mapping[str, str]] = ()

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> TrainingJobLook:
        """Read the answer of DescribeTrainingJob, or one of the summaries of ListTrainingJobs, which say less."""
        transitions = description.get("SecondaryStatusTransitions") or [{}]
        metrics = description.get("FinalMetricDataList", [])
        return cls(
            name=description["TrainingJobName"],
            status=description["TrainingJobStatus"],
            secondary_status=description.get("SecondaryStatus", ""),
            message=transitions[-1].get("StatusMessage", ""),
            failure_reason=description.get("FailureReason", ""),
            image_uri=description.get("AlgorithmSpecification", {}).get("TrainingImage", ""),
            model_artifacts=description.get("ModelArtifacts", {}).get("S3ModelArtifacts", ""),
            metrics={metric["MetricName"]: round(float(metric["Value"]), 6) for metric in metrics},
            training_seconds=description.get("TrainingTimeInSeconds", 0),
            billable_seconds=description.get("BillableTimeInSeconds", 0),
            created_at=description.get("CreationTime"),
            output_ended_at_ms=output_ended_at_ms(description),
            metric_definitions=description.get("AlgorithmSpecification", {}).get("MetricDefinitions", ()),
        )

    @property
    def ended(self) -> bool:
        """Whether the job will not change any more."""
        return self.status in ENDED

    @property
    def step(self) -> str:
        """Status and message as one text, to see whether anything has changed."""
        return f"{self.secondary_status}: {self.message}" if self.message else self.secondary_status

    @property
    def is_platform_fault(self) -> bool:
        """Whether AWS failed (capacity, internal error), so that the same job may well succeed another time."""
        return self.failure_reason.startswith(PLATFORM_FAULTS)

    def result(self) -> dict[str, Any]:
        """Return what downstream tasks need, as small JSON."""
        return {
            "training_job_name": self.name,
            "model_artifacts": self.model_artifacts,
            "image_uri": self.image_uri,
            "metrics": self.metrics or {},
            "training_seconds": self.training_seconds,
            "billable_seconds": self.billable_seconds,
        }


def explain(look: TrainingJobLook, log_lines: Sequence[str], links: Mapping[str, str]) -> str:
    """Return the whole story of a job that did not complete.

    :param log_lines: the container's last lines
    :param links: console addresses by what they show
    """
    reason = look.failure_reason or look.message or "AWS gave no reason"
    story = [
        f"Training job {look.name} ended {look.status} ({look.secondary_status}): {reason}",
        "Last lines of the container:",
        *(f"    {line}" for line in log_lines or ["(it wrote nothing)"]),
        *(f"{what}: {url}" for what, url in links.items()),
        "This job stays as it is. To train again, clear the task that created it.",
    ]
    return "\n".join(story)


def mismatches(description: Mapping[str, Any], request: Mapping[str, Any]) -> list[str]:
    """Return where an existing job differs from what is asked for now, a line for each difference.

    Only what the request says is compared, since the description also holds AWS's defaults. Where AWS has none, in
    channels, hyperparameters and environment, it also counts what the request does not say.
    """
    found: list[str] = []
    for member in COMPARED:
        if member in request:
            found += differences(description.get(member), request[member], member)
    for member in OPEN:
        extra = description.get(member, {}).keys() - request.get(member, {}).keys()
        found += [f"{member}.{name}: the job has it, the request does not" for name in sorted(extra)]
    if description.get("InputDataConfig") and not request.get("InputDataConfig"):
        found.append("InputDataConfig: the job has channels, the request has none")
    return found


def differences(there: Any, asked: Any, at: str) -> Iterator[str]:
    """Yield the places where what is there is not what was asked; what is empty is as good as absent."""
    if isinstance(asked, dict) and isinstance(there, dict):
        for name, value in asked.items():
            yield from differences(there.get(name), value, f"{at}.{name}")
    elif isinstance(asked, list) and isinstance(there, list) and len(asked) == len(there):
        for index, (one, other) in enumerate(zip(there, asked, strict=True)):
            yield from differences(one, other, f"{at}[{index}]")
    elif there != asked and (there or asked):
        yield f"{at}: the job has {there!r}, the request {asked!r}"
