"""The task that makes a model."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.operators.model import CreateModelOperator
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws
from tests.support.fake_training import FakeTraining
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator

ROLE = "arn:aws:iam::123456789012:role/SageMaker"
ARTIFACT = "s3://bucket/models/job/output/model.tar.gz"
JOB = {"training_job_name": "job", "model_artifacts": ARTIFACT, "image_uri": "image@sha256:1", "metrics": {}}


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS that holds the artifact and no model."""
    with fake_aws() as aws:
        models: dict[str, Any] = {}

        def create(**request: Any) -> dict[str, Any]:
            arn = f"arn:aws:sagemaker:eu-west-1:123456789012:model/{request['ModelName']}"
            if request["ModelName"] in models:
                raise AwsSays("ValidationException", f'Cannot create already existing model "{arn}".')
            models[request["ModelName"]] = request
            return {"ModelArn": arn}

        aws.on("CreateModel", create)
        aws.on("HeadObject", {})
        yield aws


def operator(**changes: Any) -> CreateModelOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {"training_job": JOB, "config": {"ExecutionRoleArn": ROLE}, "aws_conn_id": None}
    return CreateModelOperator(task_id="create_model", **settings | changes)


def test_the_model_has_the_jobs_artifact_and_image(aws: FakeAws) -> None:
    """The chain fills in what it knows, and adds tags."""
    run = TaskRun()
    name = run.of(operator())
    [request] = aws.asked("CreateModel")
    assert request["ModelName"] == name
    assert request["PrimaryContainer"] == {"Image": "image@sha256:1", "ModelDataUrl": ARTIFACT}
    assert request["ExecutionRoleArn"] == ROLE
    assert {"Key": "airflow:dag_id", "Value": "retrain"} in request["Tags"]
    assert run.xcoms["_link_ModelLink"].endswith(f"#/models/{name}")


def test_the_same_content_is_the_same_model(aws: FakeAws) -> None:
    """Retries, clears and other runs find the model that is there; tags are no part of the content."""
    config = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Environment": {"WORKERS": 2}}}
    first = TaskRun().of(operator(config=config))
    config_as_text = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Environment": {"WORKERS": "2"}}}
    assert TaskRun(run_id="manual__2", max_tries=7).of(operator(config=config_as_text)) == first


@pytest.mark.parametrize(
    "change",
    [
        {"training_job": JOB | {"model_artifacts": "s3://bucket/models/other/output/model.tar.gz"}},
        {"image_uri": "image@sha256:2"},
        {"config": {"ExecutionRoleArn": f"{ROLE}2"}},
        {"config": {"ExecutionRoleArn": ROLE, "EnableNetworkIsolation": True}},
    ],
)
def test_other_content_is_another_model(aws: FakeAws, change: dict[str, Any]) -> None:
    """An endpoint never gets another artifact or image under a name that it knows."""
    assert TaskRun().of(operator(**change)) != TaskRun().of(operator())


@pytest.mark.parametrize(
    ("change", "beginning"),
    [
        ({}, "retrain-"),
        ({"config": {"ExecutionRoleArn": ROLE, "ModelName": "iris"}}, "iris-"),
        (
            {"config": {"ExecutionRoleArn": ROLE, "ModelName": "iris"}, "model_name_base": "team.flowers"},
            "team-flowers-",
        ),
    ],
)
def test_the_name_begins_as_the_user_wants(aws: FakeAws, change: dict[str, Any], beginning: str) -> None:
    """The parameter goes before the request's own name, and that before the dag id."""
    assert TaskRun().of(operator(**change)).startswith(beginning)


def test_a_jobs_name_is_enough(aws: FakeAws) -> None:
    """The job is asked for its artifact and image."""
    training = FakeTraining(aws)
    specification = {"TrainingImage": "image@sha256:1", "TrainingInputMode": "File"}
    training.create(
        TrainingJobName="job", AlgorithmSpecification=specification, ResourceConfig={}, StoppingCondition={}
    )
    training.ends("job", "Completed")
    assert TaskRun().of(operator(training_job="job")) == TaskRun().of(operator())


@pytest.mark.parametrize(
    ("status", "secondary", "told"),
    [
        ("InProgress", "Training", "This one is InProgress"),
        ("Failed", "Failed", "ended Failed"),
        ("Stopped", "Stopped", "ended Stopped"),
    ],
)
def test_a_job_that_did_not_complete_gives_no_model(aws: FakeAws, status: str, secondary: str, told: str) -> None:
    """A stopped job also leaves an artifact, which nobody should deploy by accident."""
    training = FakeTraining(aws)
    specification = {"TrainingImage": "image", "TrainingInputMode": "File"}
    training.create(
        TrainingJobName="job", AlgorithmSpecification=specification, ResourceConfig={}, StoppingCondition={}
    )
    training.ends("job", status, secondary)
    with pytest.raises(AirflowFailException, match=told):
        TaskRun().of(operator(training_job="job"))
    assert not aws.asked("CreateModel")


@pytest.mark.parametrize("key", ["models/run#7/model.tar.gz", "models/a?b/model.tar.gz", "/model.tar.gz"])
def test_the_artifact_is_looked_for_under_its_whole_key(aws: FakeAws, key: str) -> None:
    """A key is no web address: nothing behind ``#`` or ``?`` is cut off."""
    TaskRun().of(operator(training_job=JOB | {"model_artifacts": f"s3://bucket/{key}"}))
    assert aws.asked("HeadObject") == [{"Bucket": "bucket", "Key": key}]


def test_what_the_user_gives_is_kept(aws: FakeAws) -> None:
    """Image and data of the config win over those of the job, and the config is not changed."""
    config = {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"Image": "mine", "ModelDataUrl": "s3://mine/model.tar.gz"}}
    before = copy.deepcopy(config)
    TaskRun().of(operator(config=config))
    [request] = aws.asked("CreateModel")
    assert request["PrimaryContainer"] == before["PrimaryContainer"]
    assert config == before


@pytest.mark.parametrize(
    "config",
    [
        {"ExecutionRoleArn": ROLE, "Containers": [{"Image": "a"}, {"Image": "b"}]},
        {"ExecutionRoleArn": ROLE, "PrimaryContainer": {"ModelPackageName": "registered"}},
    ],
)
def test_other_forms_of_a_model_are_left_alone(aws: FakeAws, config: dict[str, Any]) -> None:
    """A pipeline of containers or a registered package says itself what it is made of."""
    TaskRun().of(operator(config=config))
    [request] = aws.asked("CreateModel")
    assert {name: request[name] for name in config} == config


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"config": {"ExecutionRoleArn": "role"}}, "config.ExecutionRoleArn: got 'role'"),
        ({"config": "text"}, "config: got 'text'; allowed is an object"),
        ({"training_job": {"training_job_name": "job"}}, "training_job: got {'training_job_name': 'job'}"),
        ({"training_job": None}, "training_job: got None"),
        ({"config": {"ExecutionRoleArn": ROLE, "ModelName": "my_model"}}, "config.ModelName: got 'my_model'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(aws: FakeAws, change: dict[str, Any], told: str) -> None:
    """The task fails without a retry, and the message names field, given and allowed."""
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(operator(**change))
    assert told in str(raised.value)
    assert aws.calls == []


def test_an_artifact_that_is_gone_is_refused(aws: FakeAws) -> None:
    """SageMaker might take the model, but no endpoint would ever start with it."""
    aws.on("HeadObject", AwsSays("404", "Not Found", 404))
    with pytest.raises(AirflowFailException, match=r"ModelDataUrl: got 's3://bucket/.*Was it deleted"):
        TaskRun().of(operator())
    assert not aws.asked("CreateModel")


def test_aws_decides_about_an_artifact_that_may_not_be_looked_at(aws: FakeAws) -> None:
    """The worker's role need not have the rights that the model's role has."""
    aws.on("HeadObject", AwsSays("403", "Forbidden", 403))
    assert TaskRun().of(operator())


@pytest.mark.parametrize("operation", ["HeadObject", "CreateModel"])
def test_throttling_is_left_to_airflows_retries(aws: FakeAws, operation: str) -> None:
    """It passes, so the task must not fail for good."""
    aws.on(operation, AwsSays("ThrottlingException", "Rate exceeded"))
    with pytest.raises(Exception, match="Rate exceeded") as raised:
        TaskRun().of(operator())
    assert not isinstance(raised.value, AirflowFailException)
