"""What a batch transform job's description means.

Owns the verdict on a status and the story of a job that left no answers. Functions over the answers of
DescribeTransformJob; makes no call and knows no Airflow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.training_job_status import PLATFORM_FAULTS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["LOG_GROUP", "TransformJobLook", "explain"]

LOG_GROUP = "/aws/sagemaker/TransformJobs"
"""Where SageMaker writes the output of the containers of transform jobs."""

ENDED = frozenset({"Completed", "Failed", "Stopped"})


@dataclass(frozen=True)
class TransformJobLook:
    """A transform job at one moment.

    :param status: TransformJobStatus: InProgress, Completed, Failed, Stopping, Stopped
    :param failure_reason: AWS's
    :param output_path: S3 URI below which the answers are
    """

    name: str
    status: str
    arn: str = ""
    model_name: str = ""
    failure_reason: str = ""
    output_path: str = ""

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> TransformJobLook:
        """Read the answer of DescribeTransformJob."""
        return cls(
            name=description["TransformJobName"],
            status=description["TransformJobStatus"],
            arn=description["TransformJobArn"],
            model_name=description["ModelName"],
            failure_reason=description.get("FailureReason", ""),
            output_path=description.get("TransformOutput", {}).get("S3OutputPath", ""),
        )

    @property
    def ended(self) -> bool:
        """Whether the job will not change any more."""
        return self.status in ENDED

    @property
    def is_platform_fault(self) -> bool:
        """Whether AWS failed (capacity, internal error), so that the same job may well succeed another time."""
        return self.failure_reason.startswith(PLATFORM_FAULTS)


def explain(look: TransformJobLook, log_lines: Sequence[str], links: Mapping[str, str]) -> str:
    """Return the whole story of a job that did not complete.

    :param log_lines: the container's last lines
    :param links: console addresses by what they show
    """
    reason = look.failure_reason or "AWS gave no reason"
    story = [
        f"Transform job {look.name} of model {look.model_name} ended {look.status}: {reason}",
        "Last lines of the container:",
        *(f"    {line}" for line in log_lines or ["(it wrote nothing)"]),
        *(f"{what}: {url}" for what, url in links.items()),
        "This job stays as it is. To ask the held-out set again, clear this task.",
    ]
    return "\n".join(story)
