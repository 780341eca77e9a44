"""A local AWS account with a classifier's image, and short ways to deploy, wait for and test its models."""

from __future__ import annotations

import itertools
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from tests.support.operator_cloud import CLASSIFIER
from tests.support.process_cloud import archive
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.process_cloud import ProcessCloud

__all__ = ["REACHED", "RECORDS", "ClassifierAccount", "create", "smoke_test", "wait"]

RECORDS = [
    {"length": 1, "kind": "short"},
    {"length": 2, "kind": "short"},
    {"length": 8, "kind": "long"},
    {"length": 9, "kind": "long"},
]
REACHED: dict[str, Any] = {"aws_conn_id": None, "poll_interval_seconds": 0.05}


@dataclass
class ClassifierAccount:
    """A local AWS with the classifier's image."""

    cloud: ProcessCloud
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.sagemaker = self.cloud.client("sagemaker")
        self.cloud.client("s3").create_bucket(Bucket="models")
        self.role_arn = self.cloud.role("serving", "sagemaker.amazonaws.com")
        self.image = self.cloud.push("classifier", {"serve": CLASSIFIER})

    def name(self) -> str:
        """Return an endpoint's name that was not used before."""
        return f"lengths-{next(self.numbers)}"

    def model(self, threshold: float, **environment: str) -> str:
        """Make a model that calls everything from the threshold on long."""
        name = f"model-{next(self.numbers)}"
        content = archive({"threshold": str(threshold).encode()})
        self.cloud.client("s3").put_object(Bucket="models", Key=f"{name}/model.tar.gz", Body=content)
        data = f"s3://models/{name}/model.tar.gz"
        container = {"Image": self.image, "ModelDataUrl": data, "Environment": environment}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role_arn, PrimaryContainer=container)
        return name

    @contextmanager
    def without_artifact(self, model_name: str) -> Iterator[None]:
        """Keep a model's artifact away until the block ends; what runs already has it."""
        s3, place = self.cloud.client("s3"), {"Bucket": "models", "Key": f"{model_name}/model.tar.gz"}
        content = s3.get_object(**place)["Body"].read()
        s3.delete_object(**place)
        yield
        s3.put_object(**place, Body=content)

    def alarm(self) -> str:
        """Make an alarm that is quiet; return its name."""
        name = f"alarm-{next(self.numbers)}"
        comparison = {"ComparisonOperator": "GreaterThanThreshold", "EvaluationPeriods": 1, "Threshold": 1}
        self.cloud.client("cloudwatch").put_metric_alarm(AlarmName=name, **comparison)
        self._turn(name, "OK")
        return name

    def ring(self, alarm_name: str) -> None:
        """Set off an alarm."""
        self._turn(alarm_name, "ALARM")

    def _turn(self, alarm_name: str, state: str) -> None:
        cloudwatch = self.cloud.client("cloudwatch")
        cloudwatch.set_alarm_state(AlarmName=alarm_name, StateValue=state, StateReason="a test")


def create(endpoint_name: str, model_name: str, run: TaskRun | None = None, **changes: Any) -> dict[str, Any]:
    """Run the operator to its end and return its result."""
    settings: dict[str, Any] = {
        "endpoint_name": endpoint_name,
        "model_name": model_name,
        "config": {"ProductionVariants": [{"InstanceType": "ml.m5.large", "InitialInstanceCount": "1"}]},
        **REACHED,
    }
    operator = CreateEndpointOperator(task_id="create_endpoint", **{**settings, **changes})
    result: dict[str, Any] = (run or TaskRun()).of(operator)
    return result


def wait(deployed: dict[str, Any]) -> Any:
    """Run the sensor to its end and return its result; a failure of a task with retries is raised on a worker."""
    return TaskRun().of(EndpointSensor(task_id="wait_for_endpoint", endpoint=deployed, retries=1, **REACHED))


def smoke_test(endpoint_name: str, run: TaskRun | None = None, **changes: Any) -> Any:
    """Run the smoke test and return its report."""
    settings: dict[str, Any] = {
        "endpoint_name": endpoint_name,
        "records": RECORDS,
        "label_column": "kind",
        "aws_conn_id": None,
    }
    return (run or TaskRun()).of(InvokeSmokeTestOperator(task_id="smoke_test", **{**settings, **changes}))
