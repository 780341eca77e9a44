"""Waits for a training job.

Owns the task's side of the wait: when to defer, what a timeout does. What the end of the job means is decided in
``hooks.training_job_end``.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferralTimeout

from sagemaker_byoc.errors import TrainingJobFailedError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.hooks.training_job_end import judge, raise_for_event
from sagemaker_byoc.links import LogLink, TrainingJobLink
from sagemaker_byoc.operators.training_job import push_links
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.triggers.training_job import TrainingJobTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

__all__ = ["TrainingJobSensor"]

UNLIMITED = timedelta(days=365)
"""What Airflow's sensor counts to when the user sets no limit: far beyond the 28 days that a job may run."""


class TrainingJobSensor(BaseSensorOperator):
    """Wait for the end of a training job, holding no worker.

    A job that ended Failed or Stopped fails the task for good: a retry would find the same end. The message says why
    and what to do. There is no time limit but ``timeout``, if given.

    Returns ``{"training_job_name", "model_artifacts", "image_uri", "metrics", "training_seconds", "billable_seconds"}``,
    the artifact as an S3 URI, the metrics as the last value of each metric definition.

    :param training_job_name: the job (templated)
    :param deferrable: wait in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at the job
    :param stop_on_kill: stop the job when a person clears, fails or marks the waiting task, and when ``timeout`` is over
    :param timeout: seconds, or a timedelta, after which the wait fails; None waits as long as the job takes
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = ("training_job_name", "aws_conn_id", "region_name")
    operator_extra_links = (TrainingJobLink(), LogLink())
    ui_color = "#dae8fc"

    def __init__(
        self,
        *,
        training_job_name: str,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        stop_on_kill: bool = True,
        timeout: timedelta | float | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", poll_interval_seconds)
        super().__init__(timeout=UNLIMITED if timeout is None else timeout, **kwargs)
        self.training_job_name = training_job_name
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.stop_on_kill = stop_on_kill
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._waits_here = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Judge a job that has ended; otherwise wait for it."""
        with fail_fast():
            connection = self._connection
            push_links(context, connection.region, self.training_job_name)
            if TrainingJobHook(connection).look(self.training_job_name).ended:
                return self._judge()
            if self.deferrable:
                self._defer()
            return self._poke_until_the_end(context)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Look at the job; called again and again when the wait is not deferred."""
        ended = TrainingJobHook(self._connection).look(self.training_job_name).ended
        return PokeReturnValue(ended, self._judge() if ended else None)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Judge the job that the trigger saw the end of."""
        with fail_fast():
            raise_for_event(event)
            return self._judge()

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait; say what became of the job when the time was over."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (AirflowSensorTimeout, TaskDeferralTimeout) as error:
            raise AirflowSensorTimeout(self._give_up()) from error

    def on_kill(self) -> None:
        """Stop the job, when the task was waiting for it on the worker."""
        if self._waits_here and self.stop_on_kill:
            TrainingJobHook(self._connection).stop(self.training_job_name)

    def _judge(self) -> dict[str, Any]:
        try:
            return judge(self._connection, self.training_job_name)
        except TrainingJobFailedError as error:
            # also a fault of AWS is final here: this task cannot make another job
            raise AirflowFailException(str(error)) from error

    def _defer(self) -> None:
        trigger = TrainingJobTrigger(
            training_job_name=self.training_job_name,
            poll_interval_seconds=self.poll_interval_seconds,
            stop_on_kill=self.stop_on_kill,
            **self._connection.serialize(),
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))

    def _poke_until_the_end(self, context: Context) -> dict[str, Any]:
        self._waits_here = True
        try:
            result: dict[str, Any] = super().execute(context)
        except AirflowSensorTimeout as error:
            raise AirflowSensorTimeout(self._give_up()) from error
        finally:
            self._waits_here = False
        return result

    def _give_up(self) -> str:
        """Stop the job if that is wanted, and say so."""
        beginning = f"Training job {self.training_job_name} did not end within the timeout of {self.timeout:.0f} s"
        if not self.stop_on_kill:
            return f"{beginning}; it goes on, since stop_on_kill is off."
        stopped = TrainingJobHook(self._connection).stop(self.training_job_name)
        return f"{beginning}; {'it is being stopped' if stopped else 'it has ended by now'}."

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)
