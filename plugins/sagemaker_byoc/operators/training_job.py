"""Starts a training job, once; stops one that nobody waits for.

Owns what a task adds to the request: name, image and tags. Whether a job is adopted or made is the hook's to find out;
what its end means is decided in ``training_job_end``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, TaskDeferralTimeout

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.hooks.training_job_end import JobStory, give_up, judge, raise_for_event, stop_patiently_if_left
from sagemaker_byoc.links import LogLink, TrainingJobLink, push_training_job
from sagemaker_byoc.naming import job_name
from sagemaker_byoc.request import as_mapping
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.state_change import check_queue_literal
from sagemaker_byoc.triggers.training_job import TrainingJobTrigger
from sagemaker_byoc.triggers.watch import look_until_on_worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, XComArg

__all__ = ["CreateTrainingJobOperator", "StopTrainingJobOperator"]

NAME_KEY = "training_job_name"
"""XCom that holds the job's name while the task still waits: after a timeout Airflow tells the task nothing else."""


class CreateTrainingJobOperator(BaseOperator):
    """Create the run's training job, or adopt the one that an earlier try created.

    The job's name is computed from the run, the same for every automatic retry, so a task that died right after the
    call finds its job again and nothing is paid for twice. Clearing the task makes a fresh job, after stopping what the
    task made before and what still runs. A job that ended Failed or Stopped is not adopted; the next one gets the next
    ordinal in its name.

    Before the call the request is checked against the API's model, and the S3 prefixes for being non-empty.

    Returns the job's name.

    :param config: CreateTrainingJob request (templated); numbers may be given as text, as templates do
    :param image_uri: image to train in, put into ``AlgorithmSpecification.TrainingImage`` (templated)
    :param job_name_base: readable beginning of the name (templated); None takes ``config.TrainingJobName``, or the dag
        id when there is none either
    :param wait_for_completion: end with the job instead of with its start; a job that fails for want of capacity, or by
        a fault of AWS, is then tried again as the task's ``retries`` allow. ``execution_timeout`` limits the wait: when
        it stops the job, the task fails without a retry, which would be paid for like the first
    :param deferrable: wait in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at what has changed, which the waits in one triggerer share;
        there a second at least
    :param event_queue_url: SQS queue to which EventBridge sends state changes (``include/events``), so that the end is
        seen within a second or so; None polls only (templated; empty counts as None)
    :param stream_logs: while the task waits, show in its log what the job's containers write
    :param stop_on_kill: stop the job when a person clears, fails or marks the task, and when its time is over; also
        stop, before a cleared task makes a job, those it made before. The README says what each kind of kill does
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "config",
        "image_uri",
        "job_name_base",
        "event_queue_url",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"config": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (TrainingJobLink(), LogLink())
    ui_color = "#dae8fc"

    def __init__(
        self,
        *,
        config: dict[str, Any],
        image_uri: str | XComArg | None = None,
        job_name_base: str | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        event_queue_url: str | None = None,
        stop_on_kill: bool = True,
        stream_logs: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.image_uri = cast("str | None", image_uri)  # rendered before it is used
        self.job_name_base = job_name_base
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.event_queue_url = event_queue_url
        self.stop_on_kill = stop_on_kill
        self.stream_logs = stream_logs
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._waiting_for = ""
        self._waiting_as: Any = None
        self._is_killed = False
        check_queue_literal(event_queue_url)

    def execute(self, context: Context) -> str:
        """Check the request, then see to it that the run has its one job."""
        with fail_fast():
            run = RunIdentity.of(context)
            config = as_mapping(self.config, "config")
            base = self.job_name_base or config.get("TrainingJobName") or run.dag_id
            request = self._request(config, base, run)
            name = self._adopt_or_create(request, base, run, context)
            push_training_job(context, self._connection.region, name)
            context["ti"].xcom_push(key=NAME_KEY, value=name)
            return self._wait(name, context) if self.wait_for_completion else name

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:  # noqa: ARG002 - Airflow's signature
        """Judge the job that was waited for."""
        with fail_fast():
            raise_for_event(self._connection, event)
            return self._ended(event["training_job_name"])

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait; say what became of the job when the time was over."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as error:
            ti = context["ti"]
            name = ti.xcom_pull(task_ids=ti.task_id, key=NAME_KEY, map_indexes=ti.map_index)
            raise self._timeout(name) from error

    def on_kill(self) -> None:
        """Stop the job, if a person ended the task while it made the job, or waited for it on the worker."""
        self._is_killed = True
        if self._waiting_for and self.stop_on_kill:
            job = (self._connection, self._waiting_for)
            stop_patiently_if_left(*job, self._waiting_as, "running", log=self.log)

    def _adopt_or_create(self, request: Mapping[str, Any], base: str, run: RunIdentity, context: Context) -> str:
        hook = TrainingJobHook(self._connection)
        name, created = hook.adopt_or_create(request, base, run, stop_earlier=self.stop_on_kill)
        self.log.info("Training job %s %s.", name, "created" if created else "of an earlier try adopted")
        if self._is_killed and self.stop_on_kill:
            # Airflow only interrupts the call that makes the job, and then lets it go on.
            stop_patiently_if_left(self._connection, name, context["ti"], "running", log=self.log)
        return name

    def _request(self, config: Mapping[str, Any], base: str, run: RunIdentity) -> dict[str, Any]:
        """Return the checked request, with image and tags; ``config`` is left as it is."""
        request = {
            **config,
            "TrainingJobName": config.get("TrainingJobName") or job_name(base, run, 1),
            "AlgorithmSpecification": self._algorithm(config.get("AlgorithmSpecification")),
            "Tags": run.tags(config.get("Tags")),
        }
        return self._connection.conform("sagemaker", "CreateTrainingJob", request)

    def _algorithm(self, given: Any) -> dict[str, Any]:
        """Return the algorithm with its image; SageMaker takes either an image or an algorithm by name."""
        at = "config.AlgorithmSpecification"
        algorithm = dict(as_mapping(given or {}, at))
        image = algorithm.get("TrainingImage")
        if self.image_uri and image not in (None, self.image_uri):
            raise RequestError(f"{at}.TrainingImage", image, f"nothing, or image_uri, which is {self.image_uri!r}")
        if self.image_uri:
            return {**algorithm, "TrainingImage": self.image_uri}
        if not image and not algorithm.get("AlgorithmName"):
            raise RequestError("image_uri", self.image_uri, f"an image to train in, here or as {at}.TrainingImage")
        return algorithm

    def _wait(self, name: str, context: Context) -> str:
        if self.deferrable:
            trigger = TrainingJobTrigger(
                training_job_name=name,
                **self._connection.serialize(),
                poll_interval_seconds=self.poll_interval_seconds,
                event_queue_url=self.event_queue_url,
                stop_on_kill=self.stop_on_kill,
                stream_logs=self.stream_logs,
            )
            self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)
        self._waiting_for, self._waiting_as = name, context["ti"]
        try:
            look_until_on_worker(
                JobStory(self._connection, self.log, stream_logs=self.stream_logs),
                lambda: TrainingJobHook(self._connection).look(name),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
        except AirflowTaskTimeout as error:
            raise self._timeout(name) from error
        finally:
            self._waiting_for = ""
        return self._ended(name)

    def _timeout(self, name: str) -> AirflowFailException | AirflowTaskTimeout:
        """Return the end of the time: a retry takes up a job that goes on, but would pay for a stopped one again."""
        limit = f"the execution_timeout of {self.execution_timeout}"
        told, stopped = give_up(self._connection, name, limit, stop=self.stop_on_kill)
        return AirflowFailException(told) if stopped else AirflowTaskTimeout(told)

    def _ended(self, name: str) -> str:
        return str(judge(self._connection, name)["training_job_name"])

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


class StopTrainingJobOperator(BaseOperator):
    """Stop a training job that still runs when nobody waits for it any more; leave one that has ended alone.

    Airflow does not tell a wait about every kill, see the README. A teardown runs however its run ended, also when a
    person failed the whole run, so this one catches the rest::

        create >> wait >> StopTrainingJobOperator(task_id="stop", training_job_name=create.output).as_teardown()

    Returns whether a job was stopped.

    :param training_job_name: name of the job; None or empty, as when none was made, is nothing to do (templated)
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = ("training_job_name", "aws_conn_id", "region_name")
    operator_extra_links = (TrainingJobLink(),)
    ui_color = "#dae8fc"

    def __init__(
        self,
        *,
        training_job_name: str | XComArg | None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.training_job_name = cast("str | None", training_job_name)  # rendered before it is used
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> bool:
        """Stop the job, if there is one and it runs."""
        if not self.training_job_name:
            self.log.info("No training job was made, so there is none to stop.")
            return False
        with fail_fast():
            connection = AwsConnection.of(self)
            push_training_job(context, connection.region, self.training_job_name)
            stopped = TrainingJobHook(connection).stop(self.training_job_name)
        self.log.info("Training job %s %s.", self.training_job_name, "is being stopped" if stopped else "had ended")
        return stopped
