"""What the end of a training job means to the task that waited for it.

Owns the gathering of the whole story: FailureReason, the container's last lines, the console links.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.console import log_url, training_job_url
from sagemaker_byoc.errors import TrainingJobFailedError, TrainingJobStoppedError
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.training_job_status import LOG_GROUP, TrainingJobLook, explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["judge", "raise_for_event"]


def judge(connection: AwsConnection, name: str) -> dict[str, Any]:
    """Return the result of a job that has completed.

    :return: ``training_job_name``, ``model_artifacts`` (S3 URI), ``image_uri``, ``metrics``, ``training_seconds``,
        ``billable_seconds``
    :raises TrainingJobFailedError: it failed; ``transient`` when the fault was AWS's
    :raises TrainingJobStoppedError: it was stopped, or ran out of time
    """
    look = TrainingJobHook(connection).look(name)
    if look.status == "Completed":
        return look.result()
    story = tell(connection, look)
    if look.status == "Failed":
        raise TrainingJobFailedError(story, transient=look.is_platform_fault)
    raise TrainingJobStoppedError(story)


def tell(connection: AwsConnection, look: TrainingJobLook) -> str:
    """Gather what a person needs to understand the end of a job."""
    lines = LogHook(connection).tail(LOG_GROUP, f"{look.name}/")
    region = connection.region
    links = {"Job": training_job_url(region, look.name), "Log": log_url(region, LOG_GROUP, f"{look.name}/")}
    return explain(look, lines, links)


def raise_for_event(event: Mapping[str, Any]) -> None:
    """Raise what went wrong with the wait itself, as opposed to the job.

    :raises TrainingJobFailedError: the trigger could not go on looking; the job may still run
    """
    if "error" in event:
        message = f"The wait for the training job broke off, the job itself may still run: {event['error']}"
        raise TrainingJobFailedError(message, transient=not event["permanent"])
