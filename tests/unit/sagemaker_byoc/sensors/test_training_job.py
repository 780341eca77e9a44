"""The task that waits for a training job."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from sagemaker_byoc.errors import RequestError, TrainingJobFailedError, TrainingJobStoppedError
from sagemaker_byoc.sensors.training_job import TrainingJobSensor
from tests.support.airflow_pipe import task_is
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_training import FakeTraining
from tests.support.task_run import TaskRun

JOB = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "ResourceConfig": {},
    "StoppingCondition": {},
}
TIMEOUT = {"error": "Trigger timeout"}
"""What Airflow gives to a task whose trigger's time is over."""


@pytest.fixture
def training(aws: FakeAws) -> FakeTraining:
    """SageMaker with one running job."""
    training = FakeTraining(aws)
    training.create(**JOB)
    return training


def sensor(**changes: Any) -> TrainingJobSensor:
    """Make the sensor as a DAG would."""
    settings: dict[str, Any] = {
        "training_job_name": "job",
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
        "retries": 2,
    }
    return TrainingJobSensor(task_id="wait", **settings | changes)


def error_of(waiting: TrainingJobSensor, kind: type[BaseException] = AirflowFailException) -> BaseException:
    """Run the sensor to the end that it has to fail with."""
    with pytest.raises(kind) as raised:
        TaskRun().of(waiting)
    return raised.value


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_job_that_completes_gives_its_result(training: FakeTraining, deferrable: bool) -> None:
    """The result is small JSON with names, numbers and the artifact."""
    facts = {
        "FinalMetricDataList": [{"MetricName": "validation:accuracy", "Value": 0.5}],
        "TrainingTimeInSeconds": 40,
        "BillableTimeInSeconds": 30,
    }
    training.jobs["job"] |= facts
    training.goes_through("job", ("InProgress", "Training"), ("InProgress", "Uploading"), ("Completed", "Completed"))
    run = TaskRun()
    assert run.of(sensor(deferrable=deferrable)) == {
        "training_job_name": "job",
        "model_artifacts": "s3://bucket/models/job/output/model.tar.gz",
        "image_uri": "image",
        "metrics": {"validation:accuracy": 0.5},
        "training_seconds": 40,
        "billable_seconds": 30,
    }
    assert len(run.deferrals) == deferrable


def test_a_job_that_has_ended_already_is_not_waited_for(training: FakeTraining) -> None:
    """No trigger is made for nothing."""
    training.ends("job", "Completed")
    run = TaskRun()
    assert run.of(sensor())["training_job_name"] == "job"
    assert run.deferrals == []


def test_the_buttons_work_while_the_task_waits(training: FakeTraining) -> None:
    """The addresses are pushed before the wait begins."""
    run = TaskRun()
    with pytest.raises(TaskDeferred):
        sensor().execute(run.context)
    assert run.xcoms["_link_TrainingJobLink"].endswith("#/jobs/job")
    assert "TrainingJobs" in run.xcoms["_link_LogLink"]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("reason", ["AlgorithmError: no label column", "CapacityError: none left"])
def test_a_failed_job_fails_the_task_for_good(training: FakeTraining, deferrable: bool, reason: str) -> None:
    """A terminal job does not change, so that even a fault of AWS is final here; the message tells everything."""
    training.log = [f"line {index}" for index in range(30)]
    training.goes_through("job", ("InProgress", "Training"), ("Failed", "Failed"))
    training.jobs["job"]["FailureReason"] = reason
    error = error_of(sensor(deferrable=deferrable))
    for text in (
        reason,
        "ended Failed",
        "line 29",
        "line 10",
        "https://eu-west-1.console.aws.amazon.com/",
        "clear the",
    ):
        assert text in str(error)
    assert "line 9\n" not in str(error)
    assert isinstance(error.__cause__, TrainingJobFailedError)


def test_a_stopped_job_fails_the_task(training: FakeTraining) -> None:
    """The stock waiters take it for success."""
    training.ends("job", "Stopped", "MaxRuntimeExceeded")
    error = error_of(sensor())
    assert "Stopped (MaxRuntimeExceeded)" in str(error)
    assert isinstance(error.__cause__, TrainingJobStoppedError)


def test_a_log_that_may_not_be_read_does_not_hide_the_reason(aws: FakeAws, training: FakeTraining) -> None:
    """The worker's role need not be allowed to read logs."""
    aws.on("DescribeLogStreams", AwsSays("AccessDeniedException", "not authorized to read"))
    training.ends("job", "Failed", FailureReason="AlgorithmError: no label column")
    error = error_of(sensor())
    assert "AlgorithmError: no label column" in str(error)
    assert "not authorized to read" in str(error)


def test_an_unknown_job_is_refused_at_once(training: FakeTraining) -> None:
    """A typing error is not waited for."""
    assert "training_job_name: got 'other'" in str(error_of(sensor(training_job_name="other")))


def test_a_trigger_that_cannot_look_fails_the_task_with_the_reason(training: FakeTraining) -> None:
    """It is final. The job may run on: the message says which one, where to see it and what to do."""
    event = {"training_job_name": "job", "error": "not authorized"}
    with pytest.raises(AirflowFailException) as raised:
        sensor().execute_complete(TaskRun().context, event)
    for text in ("training job job broke off", "may still run: not authorized", "#/jobs/job", "clear this task"):
        assert text in str(raised.value)


@pytest.mark.parametrize("name", [None, "", " ", {"training_job_name": "job"}])
def test_a_name_that_is_none_is_refused_before_anything_is_asked(aws: FakeAws, name: Any) -> None:
    """An upstream task that returned nothing is named by the field that it left empty."""
    error = error_of(sensor(training_job_name=name))
    assert str(error).startswith(f"training_job_name: got {name!r}; allowed is the name of a training job")
    assert aws.calls == []


def test_a_wait_that_leaves_the_worker_between_looks_is_refused() -> None:
    """Nobody could stop the job then; the DAG does not even load."""
    with pytest.raises(RequestError, match=r"mode: got 'reschedule'; allowed is 'poke' when deferrable is False"):
        sensor(deferrable=False, mode="reschedule")
    assert sensor(mode="reschedule").deferrable


@pytest.mark.parametrize("deferrable", [True, False])
def test_throttling_does_not_end_the_wait(aws: FakeAws, training: FakeTraining, deferrable: bool) -> None:
    """A look that fails for a passing reason is made again, the first one and those on a worker too."""
    refusals = [AwsSays("ThrottlingException", "Rate exceeded")] * 3

    def describe(**request: Any) -> dict[str, Any]:
        if refusals:
            raise refusals.pop()
        return training.describe(**request)

    aws.on("DescribeTrainingJob", describe)
    training.ends("job", "Completed")
    assert TaskRun().of(sensor(deferrable=deferrable))["training_job_name"] == "job"
    assert not refusals


def test_without_a_timeout_the_wait_lasts_as_long_as_the_longest_job(training: FakeTraining) -> None:
    """Airflow's default of a week does not apply: SageMaker lets a job run for 28 days."""
    with pytest.raises(TaskDeferred) as deferral:
        sensor().execute(TaskRun().context)
    assert deferral.value.timeout is not None
    assert deferral.value.timeout > timedelta(days=28)


@pytest.mark.parametrize(
    ("changes", "kind", "told", "status"),
    [
        ({}, AirflowSensorTimeout, "it is being stopped", "Stopping"),
        ({"stop_on_kill": False}, AirflowSensorTimeout, "it goes on", "InProgress"),
        ({"soft_fail": True}, AirflowSkipException, "it is being stopped", "Stopping"),
    ],
)
def test_a_deferred_wait_that_is_over_says_what_became_of_the_job(
    training: FakeTraining, changes: dict[str, Any], kind: type[BaseException], told: str, status: str
) -> None:
    """The user's timeout ends the wait, stops the job where that is wanted, and says so, also with soft_fail."""
    waiting = sensor(timeout=90, **changes)
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute(TaskRun().context)
    assert deferral.value.timeout == timedelta(seconds=90)
    with pytest.raises(kind, match=rf"job did not end within the timeout of 90 s; {told}"):
        waiting.resume_execution("__fail__", TIMEOUT, TaskRun().context)
    assert training.jobs["job"]["TrainingJobStatus"] == status


@pytest.mark.parametrize(
    ("changes", "kind"),
    [({}, AirflowSensorTimeout), ({"soft_fail": True}, AirflowSkipException)],
)
def test_a_wait_on_a_worker_that_is_over_says_the_same(
    training: FakeTraining, changes: dict[str, Any], kind: type[BaseException]
) -> None:
    """Where the wait happens makes no difference to the job."""
    error = error_of(sensor(deferrable=False, timeout=0, **changes), kind)
    assert "within the timeout of 0 s; it is being stopped" in str(error)
    assert training.jobs["job"]["TrainingJobStatus"] == "Stopping"


def test_a_job_that_cannot_be_stopped_is_handed_to_the_user(aws: FakeAws, training: FakeTraining) -> None:
    """Who reads the message knows that something still costs money."""
    aws.on("StopTrainingJob", AwsSays("AccessDeniedException", "not authorized to stop"))
    error = error_of(sensor(deferrable=False, timeout=0), AirflowSensorTimeout)
    assert "has to be stopped by hand" in str(error)
    assert "not authorized to stop" in str(error)


def test_a_failed_job_is_not_taken_for_a_timeout(aws: FakeAws, training: FakeTraining) -> None:
    """With soft_fail both are skips; only the one whose job still runs stops anything."""
    training.goes_through("job", ("InProgress", "Training"), ("Failed", "Failed"))
    assert "timeout" not in str(error_of(sensor(soft_fail=True), AirflowSkipException))
    assert not aws.asked("StopTrainingJob")


def test_the_execution_timeout_stops_the_job_too(aws: FakeAws, training: FakeTraining) -> None:
    """Airflow raises it into the wait on the worker."""

    def too_long(**_: Any) -> dict[str, Any]:
        raise AirflowTaskTimeout

    aws.on("DescribeTrainingJob", too_long)
    waiting = sensor(deferrable=False, execution_timeout=timedelta(seconds=5))
    assert "execution_timeout of 0:00:05; it is being stopped" in str(error_of(waiting))


@pytest.mark.parametrize(
    ("state", "changes", "stops"),
    [("failed", {}, 1), ("restarting", {}, 1), ("running", {}, 0), ("failed", {"stop_on_kill": False}, 0)],
)
def test_only_a_person_who_ends_a_wait_on_a_worker_stops_the_job(
    aws: FakeAws, training: FakeTraining, state: str, changes: dict[str, Any], stops: int
) -> None:
    """A worker that shuts down gets the same signal, but its task is still running then."""
    waiting = sensor(deferrable=False, **changes)

    def killed(**request: Any) -> dict[str, Any]:
        aws.on("DescribeTrainingJob", training.describe)
        with task_is(state):
            waiting.on_kill()
        training.ends("job", "Completed")
        return training.describe(**request)

    aws.on("DescribeTrainingJob", killed)
    TaskRun().of(waiting)
    assert len(aws.asked("StopTrainingJob")) == stops


def test_a_task_that_is_not_waiting_stops_nothing(aws: FakeAws, training: FakeTraining) -> None:
    """A deferred task's worker ends by itself, and its on_kill is the trigger's business."""
    waiting = sensor()
    with pytest.raises(TaskDeferred):
        waiting.execute(TaskRun().context)
    with task_is("failed"):
        waiting.on_kill()
    assert not aws.asked("StopTrainingJob")


def test_a_wait_on_a_worker_that_has_ended_stops_nothing(aws: FakeAws, training: FakeTraining) -> None:
    """The signal may come between the job's end and the task's."""
    waiting = sensor(deferrable=False)
    training.goes_through("job", ("InProgress", "Training"), ("Completed", "Completed"))
    TaskRun().of(waiting)
    with task_is("failed"):
        waiting.on_kill()
    assert not aws.asked("StopTrainingJob")
