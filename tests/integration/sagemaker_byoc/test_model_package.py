"""Champion and challenger on a local AWS: trained jobs are registered, compared and approved."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_byoc.operators.challenge import EvaluateChallengerOperator
from sagemaker_byoc.operators.model import CreateModelOperator
from sagemaker_byoc.operators.model_package import ApproveModelOperator, RegisterModelOperator
from sagemaker_byoc.sensors.training_job import TrainingJobSensor
from tests.support.local_cloud import local_cloud
from tests.support.operator_cloud import operators_reach
from tests.support.task_run import TaskRun
from tests.support.training import BUCKET, TrainingAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

METRIC = "validation:accuracy"
DEFINITIONS = [{"Name": METRIC, "Regex": "validation_accuracy=([0-9.]+)"}]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingAccount]:
    """One local AWS for the tests of this module, which operators reach."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), stop_grace_seconds=1.0) as cloud, operators_reach(cloud):
        yield TrainingAccount(cloud)


def train(account: TrainingAccount, accuracy: float) -> Any:
    """Train a model of this accuracy; return what the sensor returns."""
    program = f'print("validation_accuracy={accuracy}", flush=True)\n(model / "weights").write_text("1")\n'
    name = account.create(
        program,
        algorithm={"MetricDefinitions": DEFINITIONS},
        InputDataConfig=[account.channel("train", "data/train/")],
    )
    sensor = TrainingJobSensor(
        task_id="wait", training_job_name=name, aws_conn_id=None, poll_interval_seconds=0.05, retries=1
    )
    return TaskRun().of(sensor)


def register(group: str, job: Any, **changes: Any) -> Any:
    """Run the task that registers a job."""
    settings = {"training_job": job, "model_package_group": group, "aws_conn_id": None, **changes}
    return TaskRun().of(RegisterModelOperator(task_id="register", **settings))


def evaluate(group: str, job: Any, **changes: Any) -> Any:
    """Run the gate."""
    settings = {
        "training_job": job,
        "model_package_group": group,
        "criteria": {METRIC: {"goal": "maximize", "margin": "0.05"}},
        "aws_conn_id": None,
        **changes,
    }
    return TaskRun().of(EvaluateChallengerOperator(task_id="evaluate", **settings))


def approve(registered: Any) -> Any:
    """Run the task that approves."""
    return TaskRun().of(ApproveModelOperator(task_id="approve", model_package=registered, aws_conn_id=None))


def test_only_what_was_approved_has_to_be_beaten(account: TrainingAccount) -> None:
    """The first passes; a better one has to beat it once it is approved; a worse one skips and is rejected."""
    group = "one-after-the-other"
    first, worse, better = (train(account, accuracy) for accuracy in (0.8, 0.82, 0.9))
    registered = register(group, first)
    assert evaluate(group, first)["champion"] is None
    assert evaluate(group, worse)["champion"] is None, "nobody is champion before the approval"
    approve(registered)
    beaten = register(group, worse)
    with pytest.raises(AirflowSkipException, match=r"0.82 is not better than the champion's 0.8 by at least 0.05"):
        evaluate(group, worse, model_package=beaten)
    described = account.sagemaker.describe_model_package(ModelPackageName=beaten["model_package_arn"])
    assert described["ModelApprovalStatus"] == "Rejected"
    verdict = evaluate(group, better)
    assert verdict["passed"]
    assert verdict["champion"]["model_package_arn"] == registered["model_package_arn"]
    approve(register(group, better))
    with pytest.raises(AirflowSkipException, match=r"version 3 of one-after-the-other"):
        evaluate(group, worse)


def test_a_cleared_run_finds_its_version_and_does_not_fight_itself(account: TrainingAccount) -> None:
    """After its own approval the model still is its own run's challenger, and no second version appears."""
    job = train(account, 0.7)
    first = register("cleared", job)
    approve(first)
    again = register("cleared", job["training_job_name"])
    assert again == {**first, "approval_status": "Approved"}
    assert evaluate("cleared", job)["champion"] is None


def test_the_record_in_s3_is_the_one_that_the_version_names(account: TrainingAccount) -> None:
    """It has the digest that the version tells, and the objects that the job read."""
    job = train(account, 0.7)
    registered = register("recorded", job, git_commit="c0ffee")
    described = account.sagemaker.describe_model_package(ModelPackageName=registered["model_package_arn"])
    statistics = described["ModelMetrics"]["ModelQuality"]["Statistics"]
    key = statistics["S3Uri"].removeprefix(f"s3://{BUCKET}/")
    text = account.text(key)
    assert key == f"out/{job['training_job_name']}/output/model_package.json"
    assert statistics["ContentDigest"] == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    record = json.loads(text)
    assert record["metrics"] == {METRIC: {"value": 0.7}}
    etag = account.s3.head_object(Bucket=BUCKET, Key="data/train/a.csv")["ETag"].strip('"')
    assert record["data"]["channels"][0]["objects"] == [{"key": "a.csv", "etag": etag, "size": 4}]
    assert described["CustomerMetadataProperties"]["data_digest"] == f"sha256:{record['data']['digest']}"
    assert described["MetadataProperties"]["CommitId"] == "c0ffee"


def test_the_champion_can_be_made_a_model_by_its_version(account: TrainingAccount) -> None:
    """An approved version is all that a deployment needs."""
    registered = register("deployed", train(account, 0.7), approval_status="Approved")
    config = {
        "ExecutionRoleArn": account.role_arn,
        "PrimaryContainer": {"ModelPackageName": registered["model_package_arn"]},
    }
    name = TaskRun().of(CreateModelOperator(task_id="model", training_job="none", config=config, aws_conn_id=None))
    container = account.sagemaker.describe_model(ModelName=name)["PrimaryContainer"]
    assert container == config["PrimaryContainer"]
