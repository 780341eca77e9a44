"""What the end of a training job, or of the wait for it, means to the task that waited.

Owns the gathering of the whole story (FailureReason, the container's last lines, the console links) and the decision
whether a job is stopped because nobody waits for it any more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.console import log_url, training_job_url
from sagemaker_byoc.errors import RequestError, TrainingJobFailedError, TrainingJobStoppedError
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.hooks.task_state import has_left, is_superseded
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.training_job_status import LOG_GROUP, explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.training_job_status import TrainingJobLook

__all__ = ["give_up", "judge", "raise_for_event", "stop_if_left"]


def judge(connection: AwsConnection, name: str) -> dict[str, Any]:
    """Return the result of a job that has completed.

    :return: ``training_job_name``, ``model_artifacts`` (S3 URI), ``image_uri``, ``metrics``, ``training_seconds``,
        ``billable_seconds``
    :raises TrainingJobFailedError: it failed; ``transient`` when the fault was AWS's
    :raises TrainingJobStoppedError: it was stopped, or ran out of time
    :raises RequestError: there is no such job, or it has not ended
    """
    look = TrainingJobHook(connection).look(name)
    if look.status == "Completed":
        return look.result()
    if not look.ended:
        remedy = f"This one is {look.status}: wait for it with TrainingJobSensor first."
        raise RequestError("training_job", name, "the name of a training job that has ended", remedy)
    story = tell(connection, look)
    if look.status == "Failed":
        raise TrainingJobFailedError(story, transient=look.is_platform_fault)
    raise TrainingJobStoppedError(story)


def tell(connection: AwsConnection, look: TrainingJobLook) -> str:
    """Gather what a person needs to understand the end of a job."""
    region = connection.region
    links = {"Job": training_job_url(region, look.name), "Log": log_url(region, LOG_GROUP, f"{look.name}/")}
    return explain(look, last_words(connection, look.name), links)


def last_words(connection: AwsConnection, name: str) -> list[str]:
    """Return the container's last lines; a log that cannot be read must not hide why the job failed."""
    try:
        return LogHook(connection).tail(LOG_GROUP, f"{name}/")
    except Exception as error:  # noqa: BLE001 - the task fails anyway, and with the better reason
        return [f"(the log could not be read: {error})"]


def raise_for_event(event: Mapping[str, Any]) -> None:
    """Raise what went wrong with the wait itself, as opposed to the job.

    :raises TrainingJobFailedError: the trigger could not go on looking; the job may still run
    """
    if "error" in event:
        message = f"The wait for the training job broke off, the job itself may still run: {event['error']}"
        raise TrainingJobFailedError(message, transient=not event["permanent"])


def stop_if_left(connection: AwsConnection, name: str, task_instance: Any, state: str) -> str:
    """Stop the job when a person ended the task that waited for it; say what was done.

    :param state: where the task is if Airflow only moves it: ``running`` on a worker, ``deferred`` in the triggerer
    """
    if not (has_left(task_instance, state) or (state == "deferred" and is_superseded(task_instance))):
        return f"The task is still {state}, so training job {name} goes on."
    stopped = TrainingJobHook(connection).stop(name)
    return f"A person ended the task: training job {name} {'is being stopped' if stopped else 'had ended already'}."


def give_up(connection: AwsConnection, name: str, limit: str, *, stop: bool) -> str:
    """Stop a job that did not end in time, if that is wanted; return what to tell the user.

    :param limit: the time limit in words, for example ``the timeout of 90 s``
    """
    beginning = f"Training job {name} did not end within {limit}"
    if not stop:
        return f"{beginning}; it goes on, since stop_on_kill is off."
    try:
        stopped = TrainingJobHook(connection).stop(name)
    except Exception as error:  # noqa: BLE001 - the wait is over all the same, and the user has to know about the job
        return f"{beginning}, and stopping it failed, so it goes on and has to be stopped by hand: {error}"
    return f"{beginning}; {'it is being stopped' if stopped else 'it has ended by now'}."
