"""Starts a training job, once.

Owns what a task adds to the request: name, image and tags. Whether a job is adopted or made is the hook's to find out;
what its end means is decided in ``training_job_end``.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from sagemaker_byoc.console import log_url, training_job_url
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.hooks.training_job_end import judge, raise_for_event
from sagemaker_byoc.links import LogLink, TrainingJobLink
from sagemaker_byoc.naming import job_name
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.training_job_status import LOG_GROUP
from sagemaker_byoc.triggers.training_job import TrainingJobTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

__all__ = ["CreateTrainingJobOperator", "push_links"]


class CreateTrainingJobOperator(BaseOperator):
    """Create the run's training job, or adopt the one that an earlier try created.

    The job's name is computed from the run, the same for every automatic retry, so a task that died right after the call
    finds its job again and nothing is paid for twice. Clearing the task makes a fresh job. A job that ended Failed or
    Stopped is not adopted; the next one gets the next ordinal in its name.

    Before the call the request is checked against the API's model, and the S3 prefixes for being non-empty.

    Returns the job's name.

    :param config: CreateTrainingJob request (templated). ``TrainingJobName``, if given, is the readable beginning of the
        name; numbers may be given as text, as templates do
    :param image_uri: image to train in, put into ``AlgorithmSpecification.TrainingImage`` (templated)
    :param job_name_base: readable beginning of the name, for when ``config`` gives none; otherwise the dag id
    :param wait_for_completion: end with the job instead of with its start; a job that fails for want of capacity, or by a
        fault of AWS, is then tried again as the task's ``retries`` allow
    :param deferrable: wait in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at the job
    :param stop_on_kill: stop the job when a person ends the waiting task
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = ("config", "image_uri", "job_name_base", "aws_conn_id", "region_name")
    template_fields_renderers = {"config": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (TrainingJobLink(), LogLink())
    ui_color = "#dae8fc"

    def __init__(
        self,
        *,
        config: dict[str, Any],
        image_uri: str | None = None,
        job_name_base: str | None = None,
        wait_for_completion: bool = False,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        stop_on_kill: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.config = config
        self.image_uri = image_uri
        self.job_name_base = job_name_base
        self.wait_for_completion = wait_for_completion
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.stop_on_kill = stop_on_kill
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._waiting_for: str | None = None

    def execute(self, context: Context) -> str:
        """Check the request, then see to it that the run has its one job."""
        with fail_fast():
            run = RunIdentity.of(context)
            base = self.config.get("TrainingJobName") or self.job_name_base or run.dag_id
            request = self._request(run, base)
            name, created = TrainingJobHook(self._connection).adopt_or_create(request, base, run)
            self.log.info("Training job %s %s.", name, "created" if created else "of an earlier try adopted")
            push_links(context, self._connection.region, name)
            return self._wait(name) if self.wait_for_completion else name

    def execute_complete(self, context: Context, event: dict[str, Any]) -> str:  # noqa: ARG002 - Airflow's signature
        """Judge the job that was waited for."""
        with fail_fast():
            raise_for_event(event)
            return self._ended(event["training_job_name"])

    def on_kill(self) -> None:
        """Stop the job, when the task was waiting for it on the worker."""
        if self._waiting_for and self.stop_on_kill:
            TrainingJobHook(self._connection).stop(self._waiting_for)

    def _request(self, run: RunIdentity, base: str) -> dict[str, Any]:
        """Return the checked request, with image and tags; ``config`` is left as it is."""
        name = self.config.get("TrainingJobName") or job_name(base, run, 1)
        request = {**self.config, "TrainingJobName": name}
        if self.image_uri:
            request["AlgorithmSpecification"] = self._algorithm(self.config.get("AlgorithmSpecification") or {})
        request["Tags"] = run.tags(self.config.get("Tags"))
        return self._connection.conform("sagemaker", "CreateTrainingJob", request)

    def _algorithm(self, given: dict[str, Any]) -> dict[str, Any]:
        image = given.get("TrainingImage", self.image_uri)
        if image != self.image_uri:
            allowed = f"nothing, or image_uri, which is {self.image_uri!r}"
            raise RequestError("config.AlgorithmSpecification.TrainingImage", image, allowed)
        return {**given, "TrainingImage": self.image_uri}

    def _wait(self, name: str) -> str:
        hook = TrainingJobHook(self._connection)
        if self.deferrable and not hook.look(name).ended:
            trigger = TrainingJobTrigger(
                training_job_name=name,
                poll_interval_seconds=self.poll_interval_seconds,
                stop_on_kill=self.stop_on_kill,
                **self._connection.serialize(),
            )
            self.defer(trigger=trigger, method_name="execute_complete", timeout=self.execution_timeout)
        self._waiting_for = name
        while not hook.look(name).ended:
            time.sleep(self.poll_interval_seconds)
        self._waiting_for = None
        return self._ended(name)

    def _ended(self, name: str) -> str:
        return str(judge(self._connection, name)["training_job_name"])

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection(self.aws_conn_id, self.region_name, self.verify, self.botocore_config)


def push_links(context: Context, region: str, name: str) -> None:
    """Give the task its buttons to the job and to its log."""
    TrainingJobLink().push(context, training_job_url(region, name))
    LogLink().push(context, log_url(region, LOG_GROUP, f"{name}/"))
