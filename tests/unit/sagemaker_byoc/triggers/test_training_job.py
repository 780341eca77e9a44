"""The wait for a training job inside the triggerer."""

from __future__ import annotations

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest

from sagemaker_byoc.triggers.training_job import TrainingJobTrigger
from tests.support.airflow_pipe import note, task_is
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_training import FakeTraining
from tests.support.task_run import event_of, remade

JOB = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "ResourceConfig": {},
    "StoppingCondition": {},
}


@pytest.fixture
def training(aws: FakeAws) -> FakeTraining:
    """SageMaker with one running job."""
    training = FakeTraining(aws)
    training.create(**JOB)
    return training


def trigger(**changes: Any) -> TrainingJobTrigger:
    """Make the trigger as the triggerer does, from what the database keeps of it."""
    settings: dict[str, Any] = {
        "training_job_name": "job",
        "poll_interval_seconds": 0,
        "aws_conn_id": None,
    }
    made: TrainingJobTrigger = remade(TrainingJobTrigger(**settings | changes))
    made._task_instance = SimpleNamespace(
        dag_id="retrain", run_id="scheduled__2026-01-02", task_id="wait_for_training", map_index=-1, try_number=1
    )
    return made


@pytest.mark.parametrize("end", ["Completed", "Failed", "Stopped"])
def test_it_fires_when_the_job_has_ended(aws: FakeAws, training: FakeTraining, end: str) -> None:
    """However the job ended, the event is the same: the task decides what that means."""
    # The first state lasts, since lists go on while the first look is on its way.
    training.goes_through("job", *[("InProgress", "Training")] * 50, ("Stopping", "Stopping"), (end, end))
    assert event_of(trigger()) == {"training_job_name": "job"}
    assert len(aws.asked("DescribeTrainingJob")) == 2, "once at the beginning, once at the end"


def test_each_step_of_the_job_is_logged_once(training: FakeTraining, capsys: pytest.CaptureFixture[str]) -> None:
    """The log of a waiting task shows what the job does, and nothing while it does not change."""
    # The first state lasts, since lists go on while the first look is on its way.
    states = [*["Downloading"] * 50, *["Training"] * 3, "Uploading"]
    training.goes_through("job", *(("InProgress", state) for state in states), ("Completed", "Completed"))
    event_of(trigger())
    steps = [line.split("Training job job: ")[1].split()[0] for line in logged(capsys) if "Training job job: " in line]
    assert steps == ["Downloading", "Training", "Uploading", "Completed"]


def test_throttling_does_not_end_the_wait(
    aws: FakeAws, training: FakeTraining, capsys: pytest.CaptureFixture[str]
) -> None:
    """A look that fails for a passing reason is logged and made again."""
    refusals = [AwsSays("ThrottlingException", "Rate exceeded")] * 3

    def describe(**request: Any) -> dict[str, Any]:
        if refusals:
            raise refusals.pop()
        return training.describe(**request)

    aws.on("DescribeTrainingJob", describe)
    training.ends("job", "Completed")
    assert event_of(trigger()) == {"training_job_name": "job"}
    assert sum("Rate exceeded" in line for line in logged(capsys)) == 3


def test_a_look_that_can_never_succeed_ends_the_wait(aws: FakeAws, training: FakeTraining) -> None:
    """The event carries the reason and the job; nothing ends silently."""
    aws.on("DescribeTrainingJob", AwsSays("AccessDeniedException", "not authorized"))
    event = event_of(trigger())
    assert event.keys() == {"training_job_name", "error"}
    assert event["training_job_name"] == "job"
    assert "not authorized" in event["error"]


def test_a_wait_outlives_a_rotated_key(aws: FakeAws, training: FakeTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS refuses the old key; the next look signs with the new one, which the connection holds by then."""
    waiting = trigger()
    used: list[str] = []

    def describe(**request: Any) -> dict[str, Any]:
        client = waiting.connection.client("sagemaker")
        used.append(client._request_signer._credentials.access_key)
        if used[-1] == "fake":
            monkeypatch.setenv("AWS_ACCESS_KEY_ID", "rotated")
            raise AwsSays("UnrecognizedClientException", "The security token included in the request is invalid.")
        return training.describe(**request)

    aws.on("DescribeTrainingJob", describe)
    training.ends("job", "Completed")
    assert event_of(waiting) == {"training_job_name": "job"}
    assert used == ["fake", "rotated"]


def test_a_slow_answer_does_not_hold_up_other_triggers(aws: FakeAws, training: FakeTraining) -> None:
    """The triggerer runs thousands of waits on one thread; a call that hangs must not stop it."""
    answered = threading.Event()
    in_time: list[bool] = []

    def describe(**_: Any) -> dict[str, Any]:
        in_time.append(answered.wait(5))
        training.ends("job", "Completed")
        return training.jobs["job"]

    async def both() -> Any:
        waiting = asyncio.ensure_future(anext(trigger().run().__aiter__()))
        began = time.monotonic()
        while not aws.calls:
            assert time.monotonic() - began < 10
            await asyncio.sleep(0)
        answered.set()  # only reached when the call does not hold the loop
        return await waiting

    aws.on("DescribeTrainingJob", describe)
    assert asyncio.run(both()).payload == {"training_job_name": "job"}
    assert in_time == [True]


@pytest.mark.parametrize("state", ["failed", "success", "restarting", "scheduled", None])
def test_a_person_who_ends_the_wait_stops_the_job(training: FakeTraining, state: str | None) -> None:
    """Clear, mark failed and mark success all leave the task in another state than deferred."""
    with task_is(state, entry="wait_for_training"):
        asyncio.run(trigger().on_kill())
    assert training.jobs["job"]["TrainingJobStatus"] == "Stopping"


@pytest.mark.parametrize(("noted_try", "status"), [(1, "InProgress"), (2, "Stopping")])
def test_a_cleared_wait_that_waits_again_already_stops_the_job(
    training: FakeTraining, noted_try: int, status: str
) -> None:
    """The next try may be deferred before the triggerer hears of the clear; the number of the try tells them apart."""
    with task_is("deferred", entry="wait_for_training", noted=note(noted_try)):
        asyncio.run(trigger().on_kill())
    assert training.jobs["job"]["TrainingJobStatus"] == status


@pytest.mark.parametrize("refusals", [1, 4])
def test_a_throttled_stop_is_tried_again(
    aws: FakeAws, training: FakeTraining, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """The pauses together stay well below the 30 s that Airflow gives."""
    pauses: list[float] = []
    left = [AwsSays("ThrottlingException", "Rate exceeded")] * refusals

    def stop(**request: Any) -> dict[str, Any]:
        if left:
            raise left.pop()
        return training.stop(**request)

    aws.on("StopTrainingJob", stop)
    monkeypatch.setattr("asyncio.sleep", AsyncMock(side_effect=pauses.append))
    with task_is("failed", entry="wait_for_training"):
        asyncio.run(trigger().on_kill())
    assert training.jobs["job"]["TrainingJobStatus"] == "Stopping"
    assert len(pauses) == refusals
    assert sum(pauses) <= 20


@pytest.mark.parametrize(("code", "attempts"), [("ThrottlingException", 5), ("AccessDeniedException", 1)])
def test_a_stop_that_fails_for_good_is_an_error_in_the_log(
    aws: FakeAws,
    training: FakeTraining,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    code: str,
    attempts: int,
) -> None:
    """Nobody stops the job any more, so that its name and its page have to be told; no right is not asked for twice."""
    aws.on("StopTrainingJob", AwsSays(code, "not now"))
    monkeypatch.setattr("asyncio.sleep", AsyncMock())
    with task_is("failed", entry="wait_for_training"):
        asyncio.run(trigger().on_kill())
    assert len(aws.asked("StopTrainingJob")) == attempts
    [line] = [line for line in logged(capsys) if "[error" in line]
    for text in ("Training job job", "https://eu-west-1.console.aws.amazon.com/", "#/jobs/job", "not now"):
        assert text in line


def test_a_triggerer_that_lost_the_wait_to_another_stops_nothing(aws: FakeAws, training: FakeTraining) -> None:
    """Airflow calls on_kill there, too, but the task is still deferred."""
    with task_is("deferred", entry="wait_for_training", noted=note(1)):
        asyncio.run(trigger().on_kill())
    assert not aws.asked("StopTrainingJob")


def test_the_wait_notes_its_try_when_it_begins(training: FakeTraining) -> None:
    """The trigger does so itself, since a wait may begin without a worker."""
    training.ends("job", "Completed")
    with task_is("deferred") as pipe:
        event_of(trigger())
    assert pipe.xcoms["deferred_try"]["try_number"] == 1


def test_the_stop_outlives_the_patience_of_airflow(training: FakeTraining) -> None:
    """When hundreds of waits are cleared at once, the last are not reached in the 30 s that Airflow gives on_kill."""
    asked, patience_is_over = threading.Event(), threading.Event()

    async def kill(pipe: Any) -> None:
        answer = pipe.send.side_effect

        def slow(question: Any) -> Any:
            asked.set()
            patience_is_over.wait(5)
            return answer(question)

        pipe.send.side_effect = slow
        killing = asyncio.ensure_future(trigger().on_kill())
        await asyncio.to_thread(asked.wait, 5)
        killing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await killing
        patience_is_over.set()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    with task_is("failed", entry="wait_for_training") as pipe:
        asyncio.run(kill(pipe))
    assert training.jobs["job"]["TrainingJobStatus"] == "Stopping"


def test_a_mapped_task_is_found_under_its_index(aws: FakeAws, training: FakeTraining) -> None:
    """Airflow lists it as ``task_3`` and is asked for the one index."""
    mapped = trigger()
    mapped._task_instance.map_index = 3  # type: ignore[union-attr]
    with task_is("deferred", entry="wait_for_training_3", noted=note(1)) as pipe:
        asyncio.run(mapped.on_kill())
    assert not aws.asked("StopTrainingJob")
    [question] = pipe.send.call_args_list[0].args
    assert (question.task_ids, question.run_ids, question.map_index) == (
        ["wait_for_training"],
        ["scheduled__2026-01-02"],
        3,
    )


def test_stop_on_kill_off_leaves_the_job_alone(aws: FakeAws, training: FakeTraining) -> None:
    """The user said that the job outlives its wait."""
    with task_is("failed", entry="wait_for_training"):
        asyncio.run(trigger(stop_on_kill=False).on_kill())
    assert not aws.asked("StopTrainingJob")


def test_the_end_of_the_triggerer_stops_nothing(aws: FakeAws, training: FakeTraining) -> None:
    """cleanup runs on every exit: shutdown, restart, reassignment."""
    with task_is("failed", entry="wait_for_training"):
        asyncio.run(trigger().cleanup())
    assert not aws.calls


def logged(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Return the lines that went to the log."""
    return capsys.readouterr().out.splitlines()
