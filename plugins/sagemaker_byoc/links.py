"""Buttons that lead from a task to the AWS console.

The operators push the addresses as soon as they know them, so that a button works while the task still runs. Airflow 3
keeps a button as its text and the key of its XCom, so these also show where the package is not installed as a provider;
``provider_info`` lists them for where it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from airflow.sdk import BaseOperatorLink

from sagemaker_byoc.console import endpoint_url, log_url, training_job_url
from sagemaker_byoc.endpoint_status import LOG_GROUP as ENDPOINT_LOG_GROUP
from sagemaker_byoc.training_job_status import LOG_GROUP

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import BaseOperator
    from airflow.sdk.types import TaskInstanceKey

__all__ = [
    "ConsoleLink",
    "EndpointLink",
    "LogLink",
    "ModelLink",
    "TrainingJobLink",
    "push_endpoint",
    "push_training_job",
]


class ConsoleLink(BaseOperatorLink):
    """A button whose address an operator pushed for it."""

    label: ClassVar[str]

    @property
    def name(self) -> str:
        """The text on the button."""
        return self.label

    def push(self, context: Mapping[str, Any], url: str) -> None:
        """Keep the address for the button of the running task."""
        context["ti"].xcom_push(key=self.xcom_key, value=url)

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002 - Airflow's signature
        """Return the pushed address, empty when the task never got that far."""
        from airflow.sdk.execution_time.xcom import XCom

        return XCom.get_value(key=self.xcom_key, ti_key=ti_key) or ""


class TrainingJobLink(ConsoleLink):
    """Leads to the training job."""

    label = "SageMaker training job"


class ModelLink(ConsoleLink):
    """Leads to the model."""

    label = "SageMaker model"


class EndpointLink(ConsoleLink):
    """Leads to the endpoint."""

    label = "SageMaker endpoint"


class LogLink(ConsoleLink):
    """Leads to the container's log."""

    label = "CloudWatch log"


def push_training_job(context: Mapping[str, Any], region: str, name: str) -> None:
    """Give the running task its buttons to a training job and to the job's log."""
    TrainingJobLink().push(context, training_job_url(region, name))
    LogLink().push(context, log_url(region, LOG_GROUP, f"{name}/"))


def push_endpoint(context: Mapping[str, Any], region: str, name: str) -> None:
    """Give the running task its buttons to an endpoint and to the log of its containers."""
    EndpointLink().push(context, endpoint_url(region, name))
    LogLink().push(context, log_url(region, ENDPOINT_LOG_GROUP.format(name)))
