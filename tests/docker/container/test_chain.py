"""The project's image on its whole way: built, pushed, trained, served, asked, by the provider's operators."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.model import CreateModelOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from sagemaker_byoc.sensors.training_job import TrainingJobSensor
from tests.support.iris_account import as_json, known_flowers
from tests.support.operator_cloud import operators_reach
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from tests.support.docker_cloud import DockerCloud
    from tests.support.iris_account import IrisAccount

ENDPOINT = "container-chain"
WAITS: dict[str, Any] = {"aws_conn_id": None, "poll_interval_seconds": 0.2}


@pytest.fixture(scope="module")
def served(cloud: DockerCloud, account: IrisAccount, image: str) -> dict[str, Any]:
    """What the operators return about the job and the endpoint that the tests ask."""
    with operators_reach(cloud):
        job = _train(account, image)
        model = CreateModelOperator(
            task_id="create_model", training_job=job, config={"ExecutionRoleArn": account.role_arn}, aws_conn_id=None
        )
        deployment = CreateEndpointOperator(
            task_id="create_endpoint",
            endpoint_name=ENDPOINT,
            model_name=TaskRun().of(model),
            config={"ProductionVariants": [{"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}]},
            **WAITS,
        )
        TaskRun().of(EndpointSensor(task_id="wait_for_endpoint", endpoint=TaskRun().of(deployment), **WAITS))
    return job


def _train(account: IrisAccount, image: str) -> dict[str, Any]:
    config = account.request("")
    del config["AlgorithmSpecification"]["TrainingImage"]
    create = CreateTrainingJobOperator(
        task_id="create_training_job", image_uri=image, config=config, job_name_base="container-chain", **WAITS
    )
    sensor = TrainingJobSensor(task_id="wait_for_training", training_job_name=TaskRun().of(create), **WAITS)
    job: dict[str, Any] = TaskRun().of(sensor)
    return job


def test_the_model_that_the_container_trained_is_good(served: dict[str, Any], image: str) -> None:
    """The job ran the very image that was pushed, and its last metrics are those of the model it kept."""
    assert served["image_uri"] == image
    assert served["metrics"]["validation:accuracy"] >= 0.9


def test_the_smoke_test_finds_the_answers_right(cloud: DockerCloud, served: dict[str, Any]) -> None:
    """CSV in and JSON out, on flowers that were not trained on."""
    rows, species = known_flowers()
    names = ("sepal_length", "sepal_width", "petal_length", "petal_width")
    records = [
        {**dict(zip(names, row, strict=True)), "species": label} for row, label in zip(rows, species, strict=True)
    ]
    task = InvokeSmokeTestOperator(
        task_id="smoke_test", endpoint_name=ENDPOINT, records=records, label_column="species", aws_conn_id=None
    )

    with operators_reach(cloud):
        report = TaskRun().of(task)

    assert (report["records"], report["accuracy"] >= 0.9) == (30, True)


def test_csv_and_json_are_answered_alike(account: IrisAccount, served: dict[str, Any]) -> None:
    """A batch as CSV gives a line for each row, the same batch as JSON the same labels with probabilities."""
    rows, species = known_flowers()
    csv_body = "\n".join(",".join(map(str, row)) for row in rows).encode()

    from_csv = account.invoke(ENDPOINT, csv_body, ContentType="text/csv", Accept="text/csv").split()
    from_json = account.invoke(ENDPOINT, as_json(rows), ContentType="application/json")

    predictions = json.loads(from_json)["predictions"]
    assert [prediction["label"] for prediction in predictions] == from_csv
    assert all(abs(sum(prediction["probabilities"].values()) - 1) < 1e-4 for prediction in predictions)
    assert sum(map(str.__eq__, from_csv, species)) >= 27


def test_the_server_leaves_when_it_is_asked_to(account: IrisAccount, served: dict[str, Any]) -> None:
    """SIGTERM ends it well within the 30 seconds before SIGKILL, and nothing of it stays in the engine."""
    account.delete_endpoint(ENDPOINT)

    assert not [line for line in account.endpoint_log(ENDPOINT) if "Traceback" in line]
