"""The task that starts a training job."""

from __future__ import annotations

import copy
from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from sagemaker_byoc.errors import RequestError, TrainingJobFailedError
from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator, StopTrainingJobOperator
from tests.support.airflow_pipe import task_is
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_training import FakeTraining
from tests.support.task_run import TaskRun

IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/iris@sha256:" + "0" * 64
CONFIG: dict[str, Any] = {
    "RoleArn": "arn:aws:iam::123456789012:role/SageMaker",
    "AlgorithmSpecification": {"TrainingInputMode": "File"},
    "HyperParameters": {"epochs": 5},
    "InputDataConfig": [
        {
            "ChannelName": "train",
            "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/2026-01-02/train/"}},
        }
    ],
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
    "ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": "1", "VolumeSizeInGB": "75"},
    "StoppingCondition": {"MaxRuntimeInSeconds": "86400"},
    "Tags": [{"Key": "team", "Value": "vision"}],
}


@pytest.fixture
def training(aws: FakeAws) -> FakeTraining:
    """SageMaker without any job."""
    return FakeTraining(aws)


def operator(**changes: Any) -> CreateTrainingJobOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "config": CONFIG,
        "image_uri": IMAGE,
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
    }
    return CreateTrainingJobOperator(task_id="create_training_job", **settings | changes)


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the config with another value at the dotted path; Ellipsis takes the member away."""
    config = copy.deepcopy(CONFIG)
    *parents, last = path.split(".")
    place = config
    for name in parents:
        place = place[name]
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return config


def test_the_request_is_the_users_with_name_image_and_tags(aws: FakeAws, training: FakeTraining) -> None:
    """Text from templates has become numbers, and nothing else is touched."""
    name = TaskRun().of(operator())
    [request] = aws.asked("CreateTrainingJob")
    assert request["TrainingJobName"] == name
    assert request["AlgorithmSpecification"] == {"TrainingInputMode": "File", "TrainingImage": IMAGE}
    assert request["HyperParameters"] == {"epochs": "5"}
    assert request["ResourceConfig"] == {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 75}
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags["team"] == "vision"
    assert tags["airflow:run_id"] == "scheduled__2026-01-02"
    assert tags["airflow:logical_date"] == "2026-01-02T00:00:00+00:00"


def test_the_dags_config_is_left_as_it_is(training: FakeTraining) -> None:
    """The next try renders and sends the same."""
    before = copy.deepcopy(CONFIG)
    TaskRun().of(operator())
    assert before == CONFIG


def test_retries_share_a_job_and_clearing_makes_a_fresh_one(training: FakeTraining) -> None:
    """max_tries, which only clearing raises, tells the two apart."""
    first = TaskRun().of(operator())
    assert TaskRun().of(operator()) == first
    assert TaskRun(max_tries=3).of(operator()) != first
    assert TaskRun(run_id="manual__2").of(operator()) != first
    assert len(training.jobs) == 3


@pytest.mark.parametrize(
    ("changes", "beginning"),
    [
        ({}, "retrain-"),
        ({"config": CONFIG | {"TrainingJobName": "iris"}}, "iris-"),
        ({"config": CONFIG | {"TrainingJobName": "iris"}, "job_name_base": "team.flowers"}, "team-flowers-"),
    ],
)
def test_the_name_begins_as_the_user_wants(training: FakeTraining, changes: dict[str, Any], beginning: str) -> None:
    """The parameter goes before the request's own name, and that before the dag id."""
    assert TaskRun().of(operator(**changes)).startswith(beginning)


def test_the_buttons_lead_to_job_and_log(training: FakeTraining) -> None:
    """Their addresses are pushed when the name is known."""
    run = TaskRun()
    name = run.of(operator())
    assert run.xcoms["_link_TrainingJobLink"].endswith(f"#/jobs/{name}")
    assert name in run.xcoms["_link_LogLink"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"config": changed("RoleArn", ...)}, "config.RoleArn: got None"),
        ({"config": changed("ResourceConfig.InstanceType", "m5.large")}, "'ml.m5.xlarge'"),
        ({"config": CONFIG | {"TrainingJobName": "x" * 70}}, "config.TrainingJobName: got 'xxx"),
        (
            {"config": changed("AlgorithmSpecification.TrainingInputMode", "file")},
            "allowed is one of Pipe, File, FastFile",
        ),
        ({"config": CONFIG | {"RoleARN": "x"}}, "Did you mean RoleArn?"),
        ({"config": "{{ var.json.config }}"}, "config: got '{{ var.json.config }}'; allowed is an object"),
        ({"config": CONFIG | {"AlgorithmSpecification": "File"}}, "config.AlgorithmSpecification: got 'File'"),
        ({"config": CONFIG | {"Tags": ["team"]}}, "config.Tags[0]: got 'team'"),
        ({"image_uri": None}, "image_uri: got None"),
        (
            {"config": changed("AlgorithmSpecification.TrainingImage", "other")},
            "config.AlgorithmSpecification.TrainingImage: got 'other'",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(aws: FakeAws, changes: dict[str, Any], told: str) -> None:
    """The task fails without a retry and without a single call, and the message names field, given and allowed."""
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(operator(**changes))
    assert told in str(raised.value)
    assert aws.calls == []


def test_a_wrong_queue_is_refused_when_the_file_is_parsed() -> None:
    """What a template gives is checked when the wait begins."""
    operator(event_queue_url="{{ var.value.queue }}")
    with pytest.raises(RequestError, match="event_queue_url"):
        operator(event_queue_url="state-changes")


def test_an_empty_partition_is_refused_before_a_job_is_made(aws: FakeAws, training: FakeTraining) -> None:
    """The only calls are looks, and the task fails without a retry."""
    aws.on("ListObjectsV2", {"KeyCount": 0})
    with pytest.raises(AirflowFailException, match=r"'s3://bucket/2026-01-02/train/'.*Channel 'train'"):
        TaskRun().of(operator())
    assert not training.jobs


def test_another_job_of_this_run_is_a_mismatch(training: FakeTraining) -> None:
    """A request that a person changed between two tries is not silently answered with the old job."""
    TaskRun().of(operator())
    with pytest.raises(AirflowFailException, match=r"HyperParameters\.epochs: the job has '5', the request '6'"):
        TaskRun().of(operator(config=changed("HyperParameters.epochs", 6)))
    assert len(training.jobs) == 1


def test_an_algorithm_by_name_needs_no_image(aws: FakeAws, training: FakeTraining) -> None:
    """SageMaker's own algorithms stay reachable."""
    algorithm = {"AlgorithmName": "my-algorithm", "TrainingInputMode": "File"}
    TaskRun().of(operator(image_uri=None, config=CONFIG | {"AlgorithmSpecification": algorithm}))
    [request] = aws.asked("CreateTrainingJob")
    assert request["AlgorithmSpecification"] == algorithm


def test_throttling_is_left_to_airflows_retries(aws: FakeAws, training: FakeTraining) -> None:
    """It passes, so the task must not fail for good."""
    aws.on("CreateTrainingJob", AwsSays("ThrottlingException", "Rate exceeded"))
    with pytest.raises(Exception, match="Rate exceeded") as raised:
        TaskRun().of(operator())
    assert not isinstance(raised.value, AirflowFailException)


def ending(aws: FakeAws, training: FakeTraining, status: str, **facts: Any) -> None:
    """Let every job that is made from now on end at the second look after its creation."""

    def create(**request: Any) -> dict[str, Any]:
        answer = training.create(**request)
        name = request["TrainingJobName"]
        training.jobs[name] |= facts
        training.goes_through(name, ("InProgress", "Training"), (status, status))
        return answer

    aws.on("CreateTrainingJob", create)


@pytest.mark.parametrize("deferrable", [True, False])
def test_waiting_returns_the_name_of_a_job_that_completed(
    aws: FakeAws, training: FakeTraining, deferrable: bool
) -> None:
    """The wait is deferred where that is wanted."""
    ending(aws, training, "Completed")
    run = TaskRun()
    name = run.of(operator(wait_for_completion=True, deferrable=deferrable))
    assert list(training.jobs) == [name]
    assert len(run.deferrals) == deferrable


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_want_of_capacity_is_worth_another_job(aws: FakeAws, training: FakeTraining, deferrable: bool) -> None:
    """The error is one that Airflow retries, and the retry's job has the next ordinal."""
    ending(aws, training, "Failed", FailureReason="CapacityError: none left")
    waiting = operator(wait_for_completion=True, deferrable=deferrable)
    with pytest.raises(TrainingJobFailedError, match="CapacityError"):
        TaskRun().of(waiting)
    ending(aws, training, "Completed")
    assert TaskRun().of(waiting).endswith("-2")


def test_a_fault_of_the_algorithm_is_paid_for_once(aws: FakeAws, training: FakeTraining) -> None:
    """The same image on the same data would fail again."""
    ending(aws, training, "Failed", FailureReason="AlgorithmError: no label column")
    with pytest.raises(AirflowFailException, match="no label column"):
        TaskRun().of(operator(wait_for_completion=True))


@pytest.mark.parametrize(("stop", "told"), [(True, "it is being stopped"), (False, "it goes on")])
def test_a_deferred_wait_that_is_over_says_what_became_of_the_job(
    training: FakeTraining, stop: bool, told: str
) -> None:
    """The task knows its job from the XCom that it pushed before; a stopped one is not paid for again by a retry."""
    run = TaskRun()
    context = run.context
    context["ti"].xcom_pull = lambda key, **_: run.xcoms[key]
    waiting = operator(wait_for_completion=True, execution_timeout=timedelta(seconds=90), stop_on_kill=stop)
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute(context)
    assert deferral.value.timeout == timedelta(seconds=90)
    [name] = training.jobs
    with pytest.raises(
        AirflowFailException if stop else AirflowTaskTimeout,
        match=rf"{name} did not end within the execution_timeout of 0:01:30; {told}",
    ):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert (training.jobs[name]["TrainingJobStatus"] == "Stopping") == stop


@pytest.mark.parametrize(
    ("state", "changes", "stops"),
    [("failed", {}, 1), ("restarting", {}, 1), ("running", {}, 0), ("failed", {"stop_on_kill": False}, 0)],
)
def test_a_job_that_is_made_while_a_person_ends_the_task_is_stopped(
    aws: FakeAws, training: FakeTraining, state: str, changes: dict[str, Any], stops: int
) -> None:
    """Airflow's signal cannot take the call back that is under way then."""
    starting = operator(**changes)

    def killed(**request: Any) -> dict[str, Any]:
        starting.on_kill()
        return training.create(**request)

    aws.on("CreateTrainingJob", killed)
    with task_is(state):
        TaskRun().of(starting)
    assert len(training.jobs) == 1
    assert len(aws.asked("StopTrainingJob")) == stops


@pytest.mark.parametrize(("state", "stops"), [("failed", 1), ("running", 0)])
def test_only_a_person_who_ends_a_wait_on_a_worker_stops_the_job(
    aws: FakeAws, training: FakeTraining, state: str, stops: int
) -> None:
    """A worker that shuts down gets the same signal, but its task is still running then."""
    ending(aws, training, "Completed")
    waiting = operator(wait_for_completion=True, deferrable=False)

    def killed(**request: Any) -> dict[str, Any]:
        if training.jobs:
            aws.on("DescribeTrainingJob", training.describe)
            with task_is(state):
                waiting.on_kill()
        return training.describe(**request)

    aws.on("DescribeTrainingJob", killed)
    TaskRun().of(waiting)
    assert len(aws.asked("StopTrainingJob")) == stops


def test_the_execution_timeout_stops_a_job_that_is_waited_for_on_a_worker(aws: FakeAws, training: FakeTraining) -> None:
    """Airflow raises it into the wait; the failure is one that it does not retry."""

    def too_long(**request: Any) -> dict[str, Any]:
        if training.jobs:
            raise AirflowTaskTimeout
        return training.describe(**request)

    aws.on("DescribeTrainingJob", too_long)
    waiting = operator(wait_for_completion=True, deferrable=False, execution_timeout=timedelta(seconds=5))
    with pytest.raises(AirflowFailException, match="execution_timeout of 0:00:05; it is being stopped"):
        TaskRun().of(waiting)


def test_a_job_that_goes_on_after_a_timeout_is_taken_up_by_the_retry(aws: FakeAws, training: FakeTraining) -> None:
    """It could not be stopped, so nothing is paid for twice when Airflow tries again."""

    def too_long(**request: Any) -> dict[str, Any]:
        if training.jobs:
            raise AirflowTaskTimeout
        return training.describe(**request)

    aws.on("DescribeTrainingJob", too_long)
    aws.on("StopTrainingJob", AwsSays("AccessDeniedException", "not authorized to stop"))
    with pytest.raises(
        AirflowTaskTimeout, match=r"by hand: .*not authorized to stop.*\nJob: https://.*#/jobs/retrain-"
    ):
        TaskRun().of(operator(wait_for_completion=True, deferrable=False, execution_timeout=timedelta(seconds=5)))


@pytest.mark.parametrize("deferrable", [True, False])
def test_throttling_does_not_end_a_wait(
    aws: FakeAws, training: FakeTraining, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    """A look that fails for a passing reason is made again, on a worker as in the triggerer."""
    ending(aws, training, "Completed")
    refusals = [AwsSays("ThrottlingException", "Rate exceeded")] * 3

    def describe(**request: Any) -> dict[str, Any]:
        if training.jobs and refusals:
            raise refusals.pop()
        return training.describe(**request)

    aws.on("DescribeTrainingJob", describe)
    assert TaskRun().of(operator(wait_for_completion=True, deferrable=deferrable)) in training.jobs
    assert not refusals


@pytest.mark.parametrize(("stop_on_kill", "status"), [(True, "Stopping"), (False, "InProgress")])
def test_clearing_stops_the_job_that_the_task_left(training: FakeTraining, stop_on_kill: bool, status: str) -> None:
    """The number of the try, which only Airflow knows, reaches the hook."""
    first = TaskRun().of(operator())
    second = TaskRun(max_tries=3, try_number=2).of(operator(stop_on_kill=stop_on_kill))
    assert training.jobs[first]["TrainingJobStatus"] == status
    assert training.jobs[second]["TrainingJobStatus"] == "InProgress"


def test_a_task_that_only_starts_a_job_never_stops_one(aws: FakeAws, training: FakeTraining) -> None:
    """The wait is another task's, and so is the kill."""
    starting = operator()
    TaskRun().of(starting)
    with task_is("failed"):
        starting.on_kill()
    assert not aws.asked("StopTrainingJob")


def stopping(name: str | None) -> StopTrainingJobOperator:
    """Make the operator as a DAG would."""
    return StopTrainingJobOperator(task_id="stop", training_job_name=name, aws_conn_id=None)


def test_a_job_that_nobody_waits_for_is_stopped(training: FakeTraining) -> None:
    """The teardown does not ask why the wait is over."""
    name = TaskRun().of(operator())
    assert TaskRun().of(stopping(name)) is True
    assert training.jobs[name]["TrainingJobStatus"] == "Stopping"


def test_a_job_that_has_ended_is_left_alone(training: FakeTraining) -> None:
    """The usual case: the wait saw the end, and the teardown has nothing to do."""
    name = TaskRun().of(operator())
    training.ends(name, "Completed")
    assert TaskRun().of(stopping(name)) is False
    assert training.jobs[name]["TrainingJobStatus"] == "Completed"


@pytest.mark.parametrize("name", [None, ""])
def test_where_no_job_was_made_there_is_nothing_to_stop(aws: FakeAws, name: str | None) -> None:
    """The task that makes the job may have failed, and a teardown that fails for that would only confuse."""
    assert TaskRun().of(stopping(name)) is False
    assert not aws.calls


def test_a_teardown_that_may_not_stop_the_job_fails(aws: FakeAws, training: FakeTraining) -> None:
    """A job that goes on costs money, so the run has to show it."""
    name = TaskRun().of(operator())
    aws.on("StopTrainingJob", AwsSays("AccessDeniedException", "not authorized to stop"))
    with pytest.raises(AirflowFailException, match="not authorized to stop"):
        TaskRun().of(stopping(name))
