"""Waits for a training job to end.

Owns the wait, and the stop of the job when a person ends the waiting task. The event says that the job has ended; the
task decides what that means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.task_state import note_try_of
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.hooks.training_job_end import StepLog, stop_if_wait_was_killed
from sagemaker_byoc.triggers.watch import look_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["TrainingJobTrigger"]


class TrainingJobTrigger(BaseTrigger):
    """Fire once when the training job has ended, however it ended.

    The event is ``{"training_job_name": …}``, with the text ``error`` when the job could not be looked at any more, for
    a reason that does not pass.

    :param connection: how AWS is reached, as ``AwsConnection.serialize`` tells it
    :param poll_interval_seconds: pause between two looks, varied by a fifth
    :param stop_on_kill: stop the job when a person clears, fails or marks the waiting task; Airflow does not tell a
        trigger of a task that was ended in the second before the triggerer took the wait up
    """

    def __init__(
        self,
        *,
        connection: dict[str, Any],
        training_job_name: str,
        poll_interval_seconds: float = 5.0,
        stop_on_kill: bool = True,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.training_job_name = training_job_name
        self.poll_interval_seconds = poll_interval_seconds
        self.stop_on_kill = stop_on_kill
        self.connection = AwsConnection(**connection)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.training_job.TrainingJobTrigger",
            {
                "connection": self.connection.serialize(),
                "training_job_name": self.training_job_name,
                "poll_interval_seconds": self.poll_interval_seconds,
                "stop_on_kill": self.stop_on_kill,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        await note_try_of(self.task_instance)
        hook = TrainingJobHook(self.connection)
        try:
            await look_until(
                StepLog(self.log),
                lambda: hook.look(self.training_job_name),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            yield TriggerEvent({"training_job_name": self.training_job_name, "error": str(error)})
            return
        yield TriggerEvent({"training_job_name": self.training_job_name})

    async def on_kill(self) -> None:
        """Stop the job, if a person ended the task that waits for it."""
        if self.stop_on_kill:
            await stop_if_wait_was_killed(self.connection, self.training_job_name, self.task_instance, log=self.log)
