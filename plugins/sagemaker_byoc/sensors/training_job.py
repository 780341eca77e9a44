"""Waits for a training job.

Owns the task's side of the wait: when to defer, what a timeout does. What the end of the job means is decided in
``hooks.training_job_end``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import (
    AirflowException,
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
)

from sagemaker_byoc.errors import RequestError, TrainingJobFailedError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.hooks.training_job_end import JobStory, give_up, judge, raise_for_event, stop_patiently_if_left
from sagemaker_byoc.links import LogLink, TrainingJobLink, push_training_job
from sagemaker_byoc.request import require_text
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.sensors.without_worker import DecidedLate, ends_in_triggerer, first_limit, start_args
from sagemaker_byoc.state_change import check_queue_literal
from sagemaker_byoc.triggers.training_job import TrainingJobTrigger
from sagemaker_byoc.triggers.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, XComArg
    from airflow.triggers.base import StartTriggerArgs

    from sagemaker_byoc.training_job_status import TrainingJobLook

__all__ = ["TrainingJobSensor"]

UNLIMITED = timedelta(days=365)
"""What Airflow's sensor counts to when the user sets no limit: far beyond the 28 days that a job may run."""


class TrainingJobSensor(BaseSensorOperator):
    """Wait for the end of a training job, holding no worker.

    A job that ended Failed or Stopped fails the task for good: a retry would find the same end. The message says why
    and what to do. There is no time limit but ``timeout``, if given.

    Returns ``{"training_job_name", "model_artifacts", "image_uri", "metrics", "training_seconds",
    "billable_seconds"}``, the artifact as an S3 URI, the metrics as the last value of each metric definition.

    :param training_job_name: the job (templated)
    :param deferrable: wait in the triggerer instead of on a worker; without it only ``mode="poke"`` is possible
    :param poll_interval_seconds: pause between two looks at what has changed, which the waits in one triggerer share;
        there a second at least
    :param event_queue_url: SQS queue to which EventBridge sends state changes (``include/events``), so that the end is
        seen within a second or so; None polls only (templated; empty counts as None)
    :param stop_on_kill: stop the job when a person clears, fails or marks the waiting task, and when its time is over.
        A wait that a person fails in the second between the deferral and the triggerer's taking it up is not told, and
        its job goes on
    :param stream_logs: show in the task's log what the job's containers write, each line with its host, lines with a
        metric with its name and value
    :param timeout: seconds, or a timedelta, after which the wait fails; None waits as long as the job takes
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = ("training_job_name", "event_queue_url", "aws_conn_id", "region_name")
    operator_extra_links = (TrainingJobLink(), LogLink())
    ui_color = "#dae8fc"

    TRIGGER = "sagemaker_byoc.triggers.training_job.TrainingJobTrigger"
    AS_JSON = ()
    start_trigger_args = cast("StartTriggerArgs | None", DecidedLate(start_args, of_class=None))
    start_from_trigger = cast("bool", DecidedLate(lambda sensor: start_args(sensor) is not None, of_class=False))

    def __init__(
        self,
        *,
        training_job_name: str | XComArg,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        event_queue_url: str | XComArg | None = None,
        stop_on_kill: bool = True,
        stream_logs: bool = True,
        timeout: timedelta | float | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", poll_interval_seconds)
        super().__init__(timeout=UNLIMITED if timeout is None else timeout, **kwargs)
        if self.reschedule and not deferrable:
            remedy = (
                "Between two looks no process would be there to stop the job. Leave deferrable on to free the worker."
            )
            raise RequestError("mode", self.mode, "'poke' when deferrable is False", remedy)
        self.training_job_name = cast("str", training_job_name)  # rendered before it is used
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.event_queue_url = cast("str | None", event_queue_url)  # rendered before it is used
        self.stop_on_kill = stop_on_kill
        self.stream_logs = stream_logs
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        check_queue_literal(event_queue_url)
        self._waiting_as: Any = None
        self._watch: Watch[TrainingJobLook] | None = None

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge a job that has ended; otherwise wait for it."""
        with fail_fast():
            require_text(self.training_job_name, "training_job_name", "the name of a training job")
            connection = self._connection
            push_training_job(context, connection.region, self.training_job_name)
            if self.deferrable and not self._is_over():
                self._defer()
            return self._poke_until_the_end(context)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Look at the job; called again and again when the wait is not deferred."""
        over = self._is_over()
        return PokeReturnValue(over, self._judge() if over else None)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """Judge the job that the trigger saw the end of."""
        if "begin_again" in event:
            return self.execute(context)
        with fail_fast():
            raise_for_event(self._connection, event)
            return self._judge()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait; say what became of the job when the time was over."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowException as error:
            self._explain_timeout(error)
            raise

    def on_kill(self) -> None:
        """Stop the job, if a person ended the task while it waited on the worker."""
        if self._waiting_as is not None and self.stop_on_kill:
            job = (self._connection, self.training_job_name)
            stop_patiently_if_left(*job, self._waiting_as, "running", log=self.log)

    def _is_over(self) -> bool:
        """Look once, outliving a failure that passes."""
        if self._watch is None:
            self._watch = Watch(
                JobStory(self._connection, self.log, stream_logs=self.stream_logs),
                lambda: TrainingJobHook(self._connection).look(self.training_job_name),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
        return self._watch.over()

    def _judge(self) -> dict[str, Any]:
        try:
            return judge(self._connection, self.training_job_name)
        except TrainingJobFailedError as error:
            # also a fault of AWS is final here: this task cannot make another job
            raise AirflowFailException(str(error)) from error

    def _defer(self) -> None:
        trigger = TrainingJobTrigger(**self.trigger_fields())
        self.defer(trigger=trigger, method_name="execute_complete", timeout=first_limit(self)[1])

    def trigger_fields(self) -> dict[str, Any]:
        """Return what the trigger is made of."""
        return {
            "training_job_name": self.training_job_name,
            **self._connection.serialize(),
            "poll_interval_seconds": self.poll_interval_seconds,
            "event_queue_url": self.event_queue_url,
            "stop_on_kill": self.stop_on_kill,
            "stream_logs": self.stream_logs,
            "ends_task_on": ends_in_triggerer(self),
        }

    def _poke_until_the_end(self, context: Context) -> dict[str, Any]:
        self._waiting_as = context["ti"]
        try:
            result: dict[str, Any] = super().execute(context)
        except (AirflowSensorTimeout, AirflowSkipException, AirflowTaskTimeout) as error:
            self._explain_timeout(error)
            raise
        finally:
            self._waiting_as = None
        return result

    def _explain_timeout(self, error: AirflowException | AirflowTaskTimeout) -> None:
        """If the error is that the time was over, stop the job where that is wanted and raise it with the facts."""
        if not isinstance(error, AirflowTaskTimeout) and not is_sensor_timeout(error):
            return
        limit = f"the timeout of {self.timeout:.0f} s"
        if first_limit(self)[0] == "execution_timeout" or isinstance(error, AirflowTaskTimeout):
            limit = f"the execution_timeout of {self.execution_timeout}"
        told, stopped = give_up(self._connection, self.training_job_name, limit, stop=self.stop_on_kill)
        if stopped and isinstance(error, AirflowTaskTimeout):
            # a retry would only find the job that was stopped
            raise AirflowFailException(told) from error
        raise type(error)(told) from error

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


def is_sensor_timeout(error: BaseException) -> bool:
    """Tell whether the sensor's time was over.

    With ``soft_fail`` Airflow raises a skip instead: without a cause on a worker, from the timeout after a deferral. A
    skip from any other cause is not about time.
    """
    if isinstance(error, AirflowSkipException):
        return error.__cause__ is None or isinstance(error.__cause__, AirflowSensorTimeout)
    return isinstance(error, AirflowSensorTimeout)
