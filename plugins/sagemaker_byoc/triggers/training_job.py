"""Waits for a training job to end.

Owns the wait, and the stop of the job when a person ends the waiting task. What the end means is decided in
``hooks.training_job_end``, from here or by the task.
"""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.hooks.training_job_end import StepLog, judge, raise_for_event, stop_if_wait_was_killed
from sagemaker_byoc.links import push_training_job
from sagemaker_byoc.request import require_text
from sagemaker_byoc.triggers.log_stream import LogFollow, follow_log
from sagemaker_byoc.triggers.task_begin import beginning, is_unrendered, strict_environment
from sagemaker_byoc.triggers.task_end import ending_event
from sagemaker_byoc.triggers.watcher import watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager, AbstractContextManager

    from sagemaker_byoc.training_job_status import TrainingJobLook
    from sagemaker_byoc.triggers.watcher import Wait

__all__ = ["TrainingJobTrigger"]


class TrainingJobTrigger(BaseTrigger):
    """Fire once when the training job has ended, however it ended.

    The event ends the task, or is ``{"training_job_name": …}``, with the text ``error`` when the job could not be
    looked at any more, for a reason that does not pass; ``{"begin_again": True}`` when only a worker can begin it.

    The parameters that are template fields of ``TrainingJobSensor`` have the names that they have there, since Airflow
    renders them here when the wait began without a worker.

    :param poll_interval_seconds: pause between two looks at what has changed, or up to a fifth less; waits of one
        connection share the looks, and the shortest pause counts
    :param event_queue_url: SQS queue with news of state changes, for a look at once
    :param stop_on_kill: stop the job when a person clears, fails or marks the waiting task; Airflow does not tell a
        trigger of a task that was ended in the second before the triggerer took the wait up
    :param stream_logs: show in the task's log what the job's containers write
    :param ends_task_on: which ends of the task may happen here, of ``success`` and ``failure``
    """

    def __init__(
        self,
        *,
        training_job_name: str,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        poll_interval_seconds: float = 5.0,
        event_queue_url: str | None = None,
        stop_on_kill: bool = True,
        stream_logs: bool = True,
        ends_task_on: Sequence[str] = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.training_job_name = training_job_name
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.poll_interval_seconds = poll_interval_seconds
        self.event_queue_url = event_queue_url
        self.stop_on_kill = stop_on_kill
        self.stream_logs = stream_logs
        self.ends_task_on = ends_task_on

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.training_job.TrainingJobTrigger",
            {
                "training_job_name": self.training_job_name,
                **self.connection.serialize(),
                "poll_interval_seconds": self.poll_interval_seconds,
                "event_queue_url": self.event_queue_url,
                "stop_on_kill": self.stop_on_kill,
                "stream_logs": self.stream_logs,
                "ends_task_on": list(self.ends_task_on),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        payload: dict[str, Any] = {"training_job_name": self.training_job_name}
        look = None
        if is_unrendered(self.training_job_name, self.region_name, self.aws_conn_id, self.event_queue_url):
            yield TriggerEvent({"begin_again": True})
            return
        try:
            require_text(self.training_job_name, "training_job_name", "the name of a training job")
            async with beginning(self, self._push_buttons, notes_try=self.stop_on_kill):
                look = await self._watch()
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            payload["error"] = str(error)
        yield await ending_event(self, lambda: self._result(payload, look), payload, self.ends_task_on)

    async def on_kill(self) -> None:
        """Stop the job, if a person ended the task that waits for it."""
        if self.stop_on_kill:
            await stop_if_wait_was_killed(self.connection, self.training_job_name, self.task_instance, log=self.log)

    async def _watch(self) -> TrainingJobLook:
        """Return the look at the job's end, once the last lines of its log are told."""
        ended = StepLog(self.log)
        with ExitStack() as watch:
            wait = watch.enter_context(self._watching())
            look = await wait.look(self.log)
            async with self._followed_log(look) as follow:
                while not ended(look):
                    look = await wait.look(self.log)
                watch.close()
                if follow:
                    await follow.finish(look.output_ended_at_ms)
        return look

    def _push_buttons(self, task: dict[str, Any]) -> None:
        push_training_job(task, self.connection.region, self.training_job_name)

    def _watching(self) -> AbstractContextManager[Wait[TrainingJobLook]]:
        return watching(
            self.training_job_name,
            self.connection,
            TrainingJobHook,
            interval_seconds=self.poll_interval_seconds,
            event_queue_url=self.event_queue_url,
        )

    def _followed_log(self, look: TrainingJobLook) -> AbstractAsyncContextManager[LogFollow | None]:
        if not self.stream_logs or look.created_at is None:
            return nullcontext()
        return follow_log(self.connection, look.name, look.metric_definitions, since=look.created_at, log=self.log)

    def get_template_env(self, dag: Any = None) -> Any:  # noqa: ARG002 - Airflow's signature
        """Return what Airflow renders the fields with."""
        return strict_environment()

    @property
    def connection(self) -> AwsConnection:
        """How AWS is reached; not before Airflow has rendered the parameters."""
        return AwsConnection.of(self)

    def _result(self, payload: dict[str, Any], look: TrainingJobLook | None) -> dict[str, Any]:
        raise_for_event(self.connection, payload)
        return judge(self.connection, self.training_job_name, look)
