"""What the end of a training job, or of the wait for it, means to the task that waited.

Owns the gathering of the whole story (FailureReason, the container's last lines, the console links). How a job is
stopped that nobody waits for any more stands in ``job_stop``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.console import log_url, training_job_url
from sagemaker_byoc.errors import RequestError, TrainingJobFailedError, TrainingJobStoppedError
from sagemaker_byoc.hooks import job_stop
from sagemaker_byoc.hooks.job_stop import PaidJob
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.hooks.log_follower import LogFollower
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.training_job_status import LOG_GROUP, explain

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk.types import Logger

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.training_job_status import TrainingJobLook

__all__ = [
    "JobStory",
    "StepLog",
    "give_up",
    "judge",
    "raise_for_event",
    "result_of",
    "stop_if_wait_was_killed",
    "stop_patiently_if_left",
]


class JobStory:
    """Says on a worker whether a job has ended, and logs what it does and what its containers write.

    :param stream_logs: whether the latter, too
    """

    def __init__(self, connection: AwsConnection, log: Logger, *, stream_logs: bool) -> None:
        self._connection = connection
        self._log = log
        self._stream_logs = stream_logs
        self._ended = StepLog(log)
        self._follower: LogFollower | None = None

    def __call__(self, look: TrainingJobLook) -> bool:
        """Take note of a look."""
        ended = self._ended(look)
        if self._stream_logs and look.created_at:
            self._follower = self._follower or LogFollower(
                self._connection, look.name, look.metric_definitions, since=look.created_at, log=self._log
            )
            if ended:
                self._follower.finish(look.output_ended_at_ms)
            else:
                self._follower.read()
        return ended


class StepLog:
    """Says whether a job has ended, and logs what it does whenever that has changed since the look before."""

    def __init__(self, log: Logger) -> None:
        self._log = log
        self._last_step = ""

    def __call__(self, look: TrainingJobLook) -> bool:
        """Take note of a look."""
        # the word alone is compared, since a look by way of a list has no message
        if look.secondary_status != self._last_step:
            self._last_step = look.secondary_status
            self._log.info("Training job %s: %s", look.name, look.step)
        return look.ended


def judge(connection: AwsConnection, name: str, look: TrainingJobLook | None = None) -> dict[str, Any]:
    """Return the result of a job that has completed.

    :param look: at the job after its end; None takes one
    :return: ``training_job_name``, ``model_artifacts`` (S3 URI), ``image_uri``, ``metrics``, ``training_seconds``,
        ``billable_seconds``
    :raises TrainingJobFailedError: it failed; ``transient`` when the fault was AWS's
    :raises TrainingJobStoppedError: it was stopped, or ran out of time
    :raises RequestError: there is no such job, or it has not ended
    """
    look = look or TrainingJobHook(connection).look(name)
    if look.status == "Completed":
        return look.result()
    if not look.ended:
        remedy = f"This one is {look.status}: wait for it with TrainingJobSensor first."
        raise RequestError("training_job", name, "the name of a training job that has ended", remedy)
    story = tell(connection, look)
    if look.status == "Failed":
        raise TrainingJobFailedError(story, transient=look.is_platform_fault)
    raise TrainingJobStoppedError(story)


def result_of(
    connection: AwsConnection, training_job: Any, *needed: str, with_metrics: bool = False
) -> Mapping[str, Any]:
    """Return what the sensor returned for a completed job, asking AWS when only the job's name is known.

    :param training_job: that result, or the name
    :param needed: members that must not be empty
    :param with_metrics: whether there must be metrics, of which there may be none
    :raises TrainingJobFailedError: as ``judge`` does
    :raises TrainingJobStoppedError: as ``judge`` does
    :raises RequestError: a member is missing, there is no such job, or it has not ended
    """
    job = judge(connection, training_job) if isinstance(training_job, str) else training_job
    has_all = isinstance(job, dict) and all(job.get(name) for name in needed)
    if not has_all or (with_metrics and "metrics" not in job):
        left = " that left a model" if "model_artifacts" in needed else ""
        allowed = f"the name of a completed training job{left}, or what TrainingJobSensor returned"
        raise RequestError("training_job", training_job, allowed)
    result: Mapping[str, Any] = job
    return result


def tell(connection: AwsConnection, look: TrainingJobLook) -> str:
    """Gather what a person needs to understand the end of a job."""
    region = connection.region
    links = {"Job": training_job_url(region, look.name), "Log": log_url(region, LOG_GROUP, f"{look.name}/")}
    return explain(look, LogHook(connection).last_words(LOG_GROUP, f"{look.name}/"), links)


def raise_for_event(connection: AwsConnection, event: Mapping[str, Any]) -> None:
    """Raise what went wrong with the wait itself, as opposed to the job.

    :raises TrainingJobFailedError: the trigger could not go on looking, for good; the job may still run
    """
    if "error" in event:
        name = event["training_job_name"]
        raise TrainingJobFailedError(
            f"The wait for training job {name} broke off, the job itself may still run: {event['error']}\n"
            f"Job: {page(connection, name)}\n"
            "Put the cause right and clear this task: TrainingJobSensor goes on waiting for the job, "
            "CreateTrainingJobOperator makes a new one and stops this one. To do without, stop it in the console."
        )


def stop_patiently_if_left(
    connection: AwsConnection, name: str, task_instance: Any, state: str, *, log: Logger
) -> None:
    """Stop the job when a person ended the task that waited for it, and log the outcome; raises nothing.

    :param state: where the task is if Airflow only moves it: ``running`` on a worker, ``deferred`` in the triggerer
    """
    job_stop.stop_patiently_if_left(_paid_job(connection, name), task_instance, state, log=log)


async def stop_if_wait_was_killed(connection: AwsConnection, name: str, task_instance: Any, *, log: Logger) -> None:
    """Do in the triggerer what ``stop_patiently_if_left`` does on a worker; a trigger's ``on_kill`` awaits it."""
    await job_stop.stop_if_wait_was_killed(_paid_job(connection, name), task_instance, log=log)


def page(connection: AwsConnection, name: str) -> str:
    """Return the console's address of a job, or why it is not known."""
    return _paid_job(connection, name).page()


def _paid_job(connection: AwsConnection, name: str) -> PaidJob:
    return PaidJob(
        f"training job {name}",
        lambda: TrainingJobHook(connection).stop(name),
        lambda: training_job_url(connection.region, name),
    )


def give_up(connection: AwsConnection, name: str, limit: str, *, stop: bool) -> tuple[str, bool]:
    """Stop a job that did not end in time, if that is wanted.

    :param limit: the time limit in words, for example ``the timeout of 90 s``
    :return: what to tell the user, and whether the job is being stopped or was, so that a retry would pay for another
    """
    beginning = f"Training job {name} did not end within {limit}"
    if not stop:
        return f"{beginning}; it goes on, since stop_on_kill is off.", False
    try:
        hook = TrainingJobHook(connection)
        # Somebody else may have stopped it, or the trigger, which Airflow may tell of the end of its time first.
        stopped = hook.stop(name) or hook.look(name).status in ("Stopping", "Stopped")
    except Exception as error:  # noqa: BLE001 - the wait is over all the same, and the user has to know about the job
        told = f"{beginning}, and stopping it failed, so it goes on and has to be stopped by hand: {error}"
        return f"{told}\nJob: {page(connection, name)}", False
    return f"{beginning}; {'it is being stopped' if stopped else 'it has ended by now'}.", stopped
