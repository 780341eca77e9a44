"""Waits for batch transform jobs to end.

Owns the wait and, when a person ends the task, the stopping of the jobs that its run made. What their end means is the
operator's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.job_stop import stop_if_wait_was_killed
from sagemaker_byoc.hooks.task_state import note_try_of
from sagemaker_byoc.hooks.transform_job import TransformJobHook, paid_job
from sagemaker_byoc.triggers.watch import look_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

__all__ = ["TransformJobTrigger"]


class TransformJobTrigger(BaseTrigger):
    """Fire once when all of some jobs have ended.

    The event is ``{"ended": names}``, or ``{"error": text}`` when no further look would succeed.

    :param connection: how AWS is reached, as ``AwsConnection.serialize`` tells it
    :param names: of the jobs
    :param stopped_on_kill: of those that are stopped when a person clears the task or marks it
    :param poll_interval_seconds: pause between two looks, each one call for a job
    """

    def __init__(
        self,
        *,
        connection: dict[str, Any],
        names: Sequence[str],
        stopped_on_kill: Sequence[str] = (),
        poll_interval_seconds: float = 5.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.connection = AwsConnection(**connection)
        self.names = list(names)
        self.stopped_on_kill = list(stopped_on_kill)
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.transform_job.TransformJobTrigger",
            {
                "connection": self.connection.serialize(),
                "names": self.names,
                "stopped_on_kill": self.stopped_on_kill,
                "poll_interval_seconds": self.poll_interval_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        await note_try_of(self.task_instance)
        hook = TransformJobHook(self.connection)
        try:
            for name in self.names:
                look = await look_until(
                    lambda look: look.ended,
                    lambda name=name: hook.look(name),  # type: ignore[misc]
                    interval_seconds=self.poll_interval_seconds,
                    log=self.log,
                )
                self.log.info("Transform job %s: %s", name, look.status)
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            yield TriggerEvent({"error": str(error)})
            return
        yield TriggerEvent({"ended": self.names})

    async def on_kill(self) -> None:
        """Stop the jobs of this run, unless only this triggerer is being relieved of them."""
        await asyncio.gather(
            *(
                stop_if_wait_was_killed(paid_job(self.connection, name), self.task_instance, log=self.log)
                for name in self.stopped_on_kill
            )
        )
