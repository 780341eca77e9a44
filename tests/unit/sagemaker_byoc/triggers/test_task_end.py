"""Waits that end their task in the triggerer, and what they do for a task that no worker has seen."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent
from jinja2 import UndefinedError

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.training_job_end import give_up
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from sagemaker_byoc.sensors.training_job import TrainingJobSensor
from sagemaker_byoc.triggers.endpoint import EndpointTrigger
from sagemaker_byoc.triggers.training_job import TrainingJobTrigger
from tests.support.airflow_pipe import task_is
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.fake_logs import FakeLogs
from tests.support.fake_training import FakeTraining
from tests.support.task_run import TaskRun, fired, remade

if TYPE_CHECKING:
    from airflow.triggers.base import BaseTrigger

JOB = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {
        "TrainingImage": "image",
        "TrainingInputMode": "File",
        "MetricDefinitions": [{"Name": "loss", "Regex": "loss=([0-9.]+)"}],
    },
    "ResourceConfig": {},
    "StoppingCondition": {},
}
DEPLOYED = {"endpoint_name": "iris", "endpoint_config_name": "new", "previous_endpoint_config_name": "old"}
BOTH = ["success", "failure"]


@pytest.fixture
def training(aws: FakeAws) -> FakeTraining:
    """SageMaker with one running job."""
    training = FakeTraining(aws)
    training.create(**JOB)
    return training


def for_job(**changes: Any) -> Any:
    """Make the trigger of a training job as the triggerer does."""
    settings: dict[str, Any] = {"training_job_name": "job", "aws_conn_id": None, "poll_interval_seconds": 0}
    return of_task(remade(TrainingJobTrigger(**settings | changes)))


def for_endpoint(**changes: Any) -> Any:
    """Make the trigger of an endpoint as the triggerer does."""
    settings: dict[str, Any] = {"endpoint": DEPLOYED, "aws_conn_id": None, "poll_interval_seconds": 0}
    return of_task(remade(EndpointTrigger(**settings | changes)))


def of_task(made: Any, **facts: Any) -> Any:
    """Give a trigger its task, as one that a worker has seen."""
    place = {"dag_id": "retrain", "run_id": "scheduled__2026-01-02", "task_id": "wait", "map_index": -1}
    made._task_instance = SimpleNamespace(**place, try_number=1, **facts)
    return made


def result_of(trigger: BaseTrigger) -> Any:
    """Return what the task returns when its trigger ends it, as another task would be given it."""
    with task_is("deferred") as pipe:
        event = fired(trigger)
    assert isinstance(event, TaskSuccessEvent)
    assert event.xcoms is None, "Airflow would encode them twice"
    return pipe.xcoms["return_value"]


def end_of(trigger: BaseTrigger) -> TriggerEvent:
    """Return the event with which a trigger ends whose task still waits."""
    with task_is("deferred"):
        return fired(trigger)


def test_a_completed_job_ends_its_task_in_the_triggerer(training: FakeTraining) -> None:
    """With the result that a worker would have returned."""
    training.goes_through("job", ("InProgress", "Training"), ("Completed", "Completed"))
    waiting = for_job(ends_task_on=BOTH)
    assert result_of(waiting)["model_artifacts"] == "s3://bucket/models/job/output/model.tar.gz"


def test_a_live_configuration_ends_its_task_in_the_triggerer(aws: FakeAws) -> None:
    """Also when the goal came as JSON, which is how a template brings the result of another task."""
    FakeEndpoint(aws).goes_through(("Updating", "old"), ("InService", "new"))
    waiting = for_endpoint(endpoint='{"endpoint_name": "iris", "endpoint_config_name": "new"}', ends_task_on=BOTH)
    assert result_of(waiting) == {"endpoint_name": "iris", "endpoint_config_name": "new"}


def test_a_failed_job_ends_its_task_with_the_whole_story_in_the_log(
    training: FakeTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    """Airflow keeps no exception of such a task, so the log has to tell."""
    training.ends("job", "Failed", FailureReason="AlgorithmError: no label column")
    assert isinstance(end_of(for_job(ends_task_on=BOTH)), TaskFailedEvent)
    told = capsys.readouterr().out
    for part in ("AlgorithmError: no label column", "console.aws.amazon.com", "clear the task that created it"):
        assert part in told


def test_a_rolled_back_endpoint_ends_its_task_with_the_reason_in_the_log(
    aws: FakeAws, capsys: pytest.CaptureFixture[str]
) -> None:
    """In service is not enough."""
    aws.on("DescribeLogStreams", {"logStreams": []})
    FakeEndpoint(aws).goes_through(("Updating", "old"), ("InService", "old"), reason="ping failed")
    assert isinstance(end_of(for_endpoint(ends_task_on=BOTH)), TaskFailedEvent)
    assert "ping failed" in capsys.readouterr().out


@pytest.mark.parametrize("end", ["Completed", "Failed"])
def test_a_task_that_a_person_ended_is_not_ended_again(training: FakeTraining, end: str) -> None:
    """Airflow may have given the trigger's number to another task by now, which a worker then looks after."""
    training.ends("job", end)
    with task_is("failed") as pipe:
        event = fired(for_job(ends_task_on=BOTH))
    assert type(event) is TriggerEvent
    assert event.payload == {"begin_again": True}, "the other task must not take this end for its own"
    assert "return_value" not in pipe.xcoms


def test_a_failure_that_is_to_happen_on_a_worker_is_handed_over(training: FakeTraining) -> None:
    """The worker finds out the same again, and fails for good."""
    training.ends("job", "Failed")
    event = fired(for_job(ends_task_on=["success"]))
    assert type(event) is TriggerEvent
    assert event.payload == {"training_job_name": "job"}


def test_a_wait_that_breaks_off_fails_its_task_and_says_that_the_job_may_run_on(
    aws: FakeAws, training: FakeTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    """No further look would succeed."""
    aws.on("DescribeTrainingJob", AwsSays("AccessDeniedException", "not authorized"))
    assert isinstance(end_of(for_job(ends_task_on=BOTH)), TaskFailedEvent)
    assert "broke off, the job itself may still run: " in capsys.readouterr().out


def test_a_task_that_no_worker_has_seen_gets_its_buttons_when_the_wait_begins(training: FakeTraining) -> None:
    """A worker would have pushed them."""
    training.ends("job", "Completed")
    waiting = of_task(for_job(), task=SimpleNamespace(template_ext=(), start_trigger_args=None))
    with task_is("deferred") as pipe:
        fired(waiting)
    assert pipe.xcoms["_link_TrainingJobLink"].endswith("#/jobs/job")


def test_a_task_that_a_worker_has_seen_keeps_its_buttons(training: FakeTraining) -> None:
    """They are not pushed twice."""
    training.ends("job", "Completed")
    with task_is("deferred") as pipe:
        fired(for_job())
    assert "_link_TrainingJobLink" not in pipe.xcoms


def test_buttons_that_cannot_be_made_do_not_keep_the_task_from_waiting(
    training: FakeTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    """The wait is worth more."""
    training.ends("job", "Completed")
    waiting = of_task(for_job(ends_task_on=BOTH), task=SimpleNamespace(template_ext=(), start_trigger_args=None))
    assert type(fired(waiting)) is TriggerEvent, "there is no pipe to Airflow here, and a worker has its own"
    assert "buttons to AWS could not be made" in capsys.readouterr().out


def test_what_the_container_writes_stands_in_the_tasks_log(
    aws: FakeAws, training: FakeTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also what it wrote last, and metrics are marked."""
    logs = FakeLogs(aws)
    began = datetime.now(timezone.utc) - timedelta(seconds=5)
    training.jobs["job"]["CreationTime"] = began
    training.goes_through("job", ("InProgress", "Training"), ("Completed", "Completed"))
    logs.write("job", "epoch=1 loss=0.25", "done")
    fired(for_job())
    told = capsys.readouterr().out
    assert "algo-1 [loss=0.25]: epoch=1 loss=0.25" in told
    assert "algo-1: done" in told


def test_the_log_is_not_read_where_nobody_wants_it(aws: FakeAws, training: FakeTraining) -> None:
    """No call for it is made."""
    training.goes_through("job", ("InProgress", "Training"), ("Completed", "Completed"))
    fired(for_job(stream_logs=False))
    assert not aws.asked("FilterLogEvents")


@pytest.mark.parametrize("field", ["training_job_name", "region_name", "aws_conn_id"])
def test_a_template_that_nobody_rendered_is_left_to_a_worker(aws: FakeAws, field: str) -> None:
    """The DAG was changed meanwhile so that its waits begin on a worker, and Airflow renders nothing here any more."""
    event = fired(for_job(**{field: "{{ ti.xcom_pull(task_ids='create', map_indexes=-1) }}"}, ends_task_on=BOTH))
    assert type(event) is TriggerEvent
    assert event.payload == {"begin_again": True}
    assert not aws.calls


def test_braces_of_a_model_are_no_template(aws: FakeAws) -> None:
    """A restore point holds the environment of the models that are live, and that may be a chat template."""
    FakeEndpoint(aws).exists("InService", "new")
    environment = {"CHAT_TEMPLATE": "{{ messages }}{% if x %}{% endif %}"}
    deployed = {**DEPLOYED, "restore_point": {"models": [{"PrimaryContainer": {"Environment": environment}}]}}
    for given in (deployed, json.dumps(deployed)):
        assert result_of(for_endpoint(endpoint=given, ends_task_on=BOTH))["endpoint_config_name"] == "new"


def test_a_worker_hands_the_triggerer_names_alone(aws: FakeAws) -> None:
    """Airflow would render what is in a restore point, and fail the wait."""
    FakeEndpoint(aws).exists("Updating", "old", pending="new")
    deployed = {**DEPLOYED, "restore_point": {"models": [{"Environment": {"CHAT_TEMPLATE": "{{ messages }}"}}]}}
    with pytest.raises(TaskDeferred) as deferred:
        EndpointSensor(task_id="live", endpoint=deployed, aws_conn_id=None).execute(TaskRun().context)
    kwargs = deferred.value.trigger.serialize()[1]
    assert {name: kwargs[name] for name in ("endpoint", "endpoint_config_name", "previous_endpoint_config_name")} == {
        "endpoint": "iris",
        "endpoint_config_name": "new",
        "previous_endpoint_config_name": "old",
    }
    assert "messages" not in json.dumps(kwargs)


def test_a_worker_begins_again_what_nobody_rendered(training: FakeTraining, aws: FakeAws) -> None:
    """With the templates that it renders itself."""
    training.ends("job", "Completed")
    waiting = TrainingJobSensor(task_id="wait", training_job_name="job", aws_conn_id=None)
    result = waiting.execute_complete(TaskRun().context, {"begin_again": True})
    assert result["training_job_name"] == "job"
    FakeEndpoint(aws).exists("InService", "new")
    deployed = EndpointSensor(task_id="live", endpoint=DEPLOYED, aws_conn_id=None)
    assert deployed.execute_complete(TaskRun().context, {"begin_again": True})["endpoint_config_name"] == "new"


@pytest.mark.parametrize(("try_number", "deleted"), [(1, False), (2, True)])
def test_the_result_of_an_earlier_try_is_forgotten_when_the_wait_begins(
    training: FakeTraining, try_number: int, deleted: bool
) -> None:
    """A worker's start would have done it; a wait that fails after a clear would leave the old model's name."""
    training.ends("job", "Failed")
    waiting = of_task(for_job(ends_task_on=BOTH), task=SimpleNamespace(template_ext=(), start_trigger_args=None))
    waiting._task_instance.try_number = try_number
    with task_is("deferred") as pipe:
        fired(waiting)
    asked = [type(call.args[0]).__name__ for call in pipe.send.call_args_list]
    assert ("DeleteXCom" in asked) is deleted


def test_a_template_that_names_nothing_known_fails_in_the_triggerer_too() -> None:
    """As empty text it would be another job's name, or another region."""
    for waiting in (for_job(), for_endpoint()):
        with pytest.raises(UndefinedError, match="regoin"):
            waiting.get_template_env().from_string("{{ params.regoin }}").render(params={})


@pytest.mark.parametrize("status", ["Stopping", "Stopped"])
def test_a_job_that_is_being_stopped_when_its_time_is_over_is_not_paid_for_again(
    training: FakeTraining, status: str
) -> None:
    """Whoever stopped it: a retry would make another one."""
    training.ends("job", status)
    told, stopped = give_up(AwsConnection(None), "job", "the timeout of 5 s", stop=True)
    assert stopped
    assert "is being stopped" in told
