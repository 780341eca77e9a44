"""The provider's training tasks against the local AWS over HTTP, with small programs in place of containers."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from sagemaker_byoc.hooks import connection
from sagemaker_byoc.operators.model import CreateModelOperator
from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator
from sagemaker_byoc.sensors.training_job import TrainingJobSensor
from tests.support.airflow_pipe import note, task_is
from tests.support.local_cloud import local_cloud
from tests.support.task_run import TaskRun, remade
from tests.support.training import BUCKET, TrainingAccount, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

TRAINS = """
print("validation_accuracy=0.75", flush=True)
(model / "weights").write_text("1")
"""
FAILS = """
for index in range(30): print("epoch", index)
(base / "output" / "failure").write_text("the data has no label column")
print("KeyError: label", flush=True)
sys.exit(1)
"""
HANGS = """
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
while True: time.sleep(0.05)
"""


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingAccount]:
    """One local AWS for the tests of this module, and an environment in which boto3 reaches nothing else."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), stop_grace_seconds=1.0) as cloud:
        environment = {
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": cloud.region,
            "AWS_ENDPOINT_URL": cloud.endpoint_url,
            "HTTPS_PROXY": "http://127.0.0.1:9",
            "NO_PROXY": "127.0.0.1",
        }
        with mock.patch.dict(os.environ, environment), mock.patch.dict(connection._clients, clear=True):
            yield TrainingAccount(cloud)


@pytest.fixture
def run(request: pytest.FixtureRequest) -> TaskRun:
    """A run of its own for each test, so that names never meet."""
    return TaskRun(task_id="create_training_job", run_id=f"manual__{request.node.name}")


def config(account: TrainingAccount, program: str = TRAINS, **changes: Any) -> dict[str, Any]:
    """Return a request as a DAG's author writes it: no name, numbers as templates render them."""
    request = account.request(program, InputDataConfig=[account.channel("train", "data/train")], **changes)
    del request["TrainingJobName"]
    definitions = [{"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}]
    request["AlgorithmSpecification"]["MetricDefinitions"] = definitions
    request["ResourceConfig"]["InstanceCount"] = "1"
    return request


def operator(request: dict[str, Any], **changes: Any) -> CreateTrainingJobOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {"config": request, "aws_conn_id": None, "poll_interval_seconds": 0.05}
    return CreateTrainingJobOperator(task_id="create_training_job", **settings | changes)


def sensor(name: str, **changes: Any) -> TrainingJobSensor:
    """Make the sensor as a DAG would."""
    settings: dict[str, Any] = {"training_job_name": name, "aws_conn_id": None, "poll_interval_seconds": 0.05}
    return TrainingJobSensor(task_id="wait_for_training", **settings | changes)


def jobs(account: TrainingAccount, name: str) -> list[str]:
    """Return the names of all jobs that share the name's run, whatever their ordinal."""
    beginning = name.rpartition("-")[0]
    answer = account.sagemaker.list_training_jobs(NameContains=beginning, MaxResults=100)
    return [job["TrainingJobName"] for job in answer["TrainingJobSummaries"]]


def test_job_wait_and_model_pass_on_what_they_made(account: TrainingAccount, run: TaskRun) -> None:
    """Three tasks in a row: each takes the real names from the one before."""
    name = run.of(operator(config(account)))
    result = TaskRun().of(sensor(name))
    assert result["training_job_name"] == name
    assert result["metrics"] == {"validation:accuracy": 0.75}
    assert result["model_artifacts"] == f"s3://{BUCKET}/out/{name}/output/model.tar.gz"
    assert account.archive(f"out/{name}/output/model.tar.gz") == {"weights": "1"}
    making: dict[str, Any] = {
        "task_id": "create_model",
        "config": {"ExecutionRoleArn": account.role_arn},
        "aws_conn_id": None,
    }
    model = TaskRun().of(CreateModelOperator(training_job=result, **making))
    container = account.sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    assert (container["Image"], container["ModelDataUrl"]) == (result["image_uri"], result["model_artifacts"])
    assert TaskRun().of(CreateModelOperator(training_job=name, **making)) == model


def test_everything_made_says_which_run_it_comes_from(account: TrainingAccount, run: TaskRun) -> None:
    """Clean-up and audit depend on the tags."""
    name = run.of(operator(config(account)))
    arn = account.describe(name)["TrainingJobArn"]
    tags = {tag["Key"]: tag["Value"] for tag in account.sagemaker.list_tags(ResourceArn=arn)["Tags"]}
    assert tags["project"] == "sagemaker-byoc"
    assert tags["airflow:run_id"] == run.run_id
    account.finish(name)


def test_a_try_that_died_after_the_call_leaves_its_job_to_the_next(account: TrainingAccount, run: TaskRun) -> None:
    """The pipe to Airflow breaks right after CreateTrainingJob; the retry adopts, and one job exists."""
    request = config(account)
    context = run.context

    def broken(**_: Any) -> None:
        raise ConnectionResetError

    context["ti"].xcom_push = broken
    with pytest.raises(ConnectionResetError):
        operator(request).execute(context)
    name = run.of(operator(request))
    assert jobs(account, name) == [name]
    account.finish(name)


def test_clearing_makes_a_fresh_job(account: TrainingAccount, run: TaskRun) -> None:
    """A task that a person cleared has a higher max_tries."""
    request = config(account)
    first = run.of(operator(request))
    account.finish(first)
    assert run.of(operator(request)) == first
    run.max_tries += 3
    second = run.of(operator(request))
    assert second != first
    account.finish(second)


def test_clearing_stops_the_job_that_still_runs(account: TrainingAccount, run: TaskRun) -> None:
    """A task that only starts its job is told nothing when a person clears it, so its next generation looks back."""
    request = config(account, HANGS)
    first = run.of(operator(request))
    run.max_tries, run.try_number = run.max_tries + 1, 2
    second = run.of(operator(request))
    assert account.finish(first)["TrainingJobStatus"] == "Stopped"
    assert account.describe(second)["TrainingJobStatus"] == "InProgress"
    account.sagemaker.stop_training_job(TrainingJobName=second)
    account.finish(second)


def test_racing_tries_make_one_job(account: TrainingAccount, run: TaskRun) -> None:
    """However the calls of four processes interleave, the name decides."""
    request = config(account)
    together = threading.Barrier(4)

    def attempt(_: int) -> str:
        task = operator(request)
        together.wait()
        return str(run.of(task))

    with ThreadPoolExecutor(4) as processes:
        [name] = set(processes.map(attempt, range(4)))
    assert jobs(account, name) == [name]
    account.finish(name)


def test_a_changed_request_does_not_adopt_the_old_job(account: TrainingAccount, run: TaskRun) -> None:
    """AWS's defaults in the description are no difference, a hyperparameter is."""
    request = config(account, HyperParameters={"epochs": 5})
    name = run.of(operator(request))
    account.finish(name)
    with pytest.raises(AirflowFailException, match=r"HyperParameters\.epochs: the job has '5', the request '6'"):
        run.of(operator({**request, "HyperParameters": {"epochs": 6}}))
    assert jobs(account, name) == [name]


def test_a_failed_training_fails_the_wait_with_the_whole_story(account: TrainingAccount, run: TaskRun) -> None:
    """The container's own reason and last lines, read back from CloudWatch, stand in the message."""
    name = run.of(operator(config(account, FAILS)))
    account.finish(name)
    wait_for(lambda: "KeyError: label" in account.log(name))
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(sensor(name))
    for text in ("AlgorithmError: the data has no label column", "KeyError: label", "epoch 29", f"#/jobs/{name}"):
        assert text in str(raised.value)
    second = run.of(operator(config(account)))
    assert second == f"{name[:-1]}2"
    account.finish(second)


def test_a_wait_inside_the_operator_ends_with_the_job(account: TrainingAccount, run: TaskRun) -> None:
    """With wait_for_completion one task does both."""
    name = run.of(operator(config(account), wait_for_completion=True))
    assert account.describe(name)["TrainingJobStatus"] == "Completed"
    assert len(run.deferrals) == 1


@pytest.mark.parametrize(("state", "wanted"), [("failed", "Stopped"), ("deferred", "InProgress")])
def test_only_a_person_stops_the_job_through_its_wait(
    account: TrainingAccount, run: TaskRun, state: str, wanted: str
) -> None:
    """A kill while the task is still deferred comes from a triggerer that lost the wait."""
    name = run.of(operator(config(account, HANGS)))
    with pytest.raises(TaskDeferred) as deferral:
        sensor(name).execute(run.context)
    trigger = remade(deferral.value.trigger)
    trigger._task_instance = run.context["ti"]
    with task_is(state, run_id=run.run_id, noted=note(run.try_number)):
        asyncio.run(trigger.on_kill())
    if wanted == "InProgress":
        assert account.describe(name)["TrainingJobStatus"] == wanted
        account.sagemaker.stop_training_job(TrainingJobName=name)
    assert account.finish(name)["TrainingJobStatus"] == "Stopped"


def test_a_timeout_stops_the_job_and_says_so(account: TrainingAccount, run: TaskRun) -> None:
    """The wait on a worker ends with the user's limit."""
    name = run.of(operator(config(account, HANGS)))
    with pytest.raises(AirflowSensorTimeout, match="within the timeout of 0 s; it is being stopped"):
        TaskRun().of(sensor(name, deferrable=False, timeout=0))
    assert account.finish(name)["TrainingJobStatus"] == "Stopped"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"RoleArn": None}, "config.RoleArn: got None"),
        ({"ResourceConfig": {"InstanceType": "m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}}, "'ml.m5.xlarge'"),
        ({"EnableNetworkIsolation": "perhaps"}, "config.EnableNetworkIsolation: got 'perhaps'"),
        ({"TrainingJobName": "x" * 70}, "config.TrainingJobName"),
    ],
)
def test_bad_input_makes_nothing(account: TrainingAccount, run: TaskRun, changes: dict[str, Any], told: str) -> None:
    """The list of jobs is the same before and after."""

    def count() -> int:
        return len(account.sagemaker.list_training_jobs(MaxResults=100)["TrainingJobSummaries"])

    before = count()
    with pytest.raises(AirflowFailException) as raised:
        run.of(operator(config(account) | changes))
    assert told in str(raised.value)
    assert count() == before


@pytest.mark.parametrize("uri", [f"s3://{BUCKET}/data/2026-02-30/", "s3://no-such-bucket-anywhere/data/"])
def test_a_partition_without_data_makes_nothing(account: TrainingAccount, run: TaskRun, uri: str) -> None:
    """The channel and the URI stand in the message."""
    request = config(account)
    request["InputDataConfig"][0]["DataSource"]["S3DataSource"]["S3Uri"] = uri
    with pytest.raises(AirflowFailException, match=uri):
        run.of(operator(request))


def test_an_artifact_that_was_deleted_makes_no_model(account: TrainingAccount, run: TaskRun) -> None:
    """An endpoint would only fail minutes later."""
    name = run.of(operator(config(account), wait_for_completion=True))
    account.s3.delete_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")
    making = CreateModelOperator(
        task_id="create_model",
        training_job=name,
        config={"ExecutionRoleArn": account.role_arn},
        aws_conn_id=None,
    )
    with pytest.raises(AirflowFailException, match="Was it deleted"):
        TaskRun().of(making)
