"""What a run does to the paid job when its tasks are killed, cleared, marked or moved."""

from __future__ import annotations

import os
import re
import signal
from typing import TYPE_CHECKING

from local_stack.airflow_parts import part_commands
from local_stack.home import CHECKOUT
from tests.e2e.probe import Run, until

if TYPE_CHECKING:
    from local_stack.stack import Stack


def only_job_status(run: Run) -> str:
    """Return the status of the run's one job."""
    (job,) = run.jobs()
    return str(job["TrainingJobStatus"])


def wait_until_watched(run: Run) -> None:
    """Wait until the triggerer has taken the wait over; before that there is nothing yet that Airflow could kill."""
    run.wait_for_task("wait_for_training", "deferred")
    until(
        lambda: re.search(r"trigger .*wait_for_training.* starting", run.log("wait_for_training")),
        "the triggerer starts",
    )
    until(lambda: "Training in progress" in run.log("wait_for_training"), "the job trains")
    assert only_job_status(run) == "InProgress"


def test_a_retry_after_kill_9_adopts_the_job(stack: Stack) -> None:
    """A task killed right after CreateTrainingJob is tried again and finds its own job: one job is paid for."""
    run = Run.start(stack, "train_probe", kill_first_try=True)
    assert run.wait() == "success"
    assert run.task("create_training_job")["try_number"] == 2
    assert len(run.jobs()) == 1


def test_clearing_the_task_starts_a_fresh_job(stack: Stack) -> None:
    """A person who clears create_training_job wants to train again, and gets a second job."""
    run = Run.start(stack, "train_probe")
    assert run.wait() == "success"
    run.clear("create_training_job", "wait_for_training")
    until(lambda: len(run.jobs()) == 2, "a second job exists")
    assert run.wait() == "success"
    first, second = run.jobs()
    assert first["TrainingJobName"] != second["TrainingJobName"]
    assert run.xcom("create_training_job") == second["TrainingJobName"]


def test_a_failed_training_fails_the_wait_without_a_retry(stack: Stack) -> None:
    """The reason, the container's last lines and the console link stand in the log of the task that failed."""
    run = Run.start(stack, "train_probe", failure="the data has no label column")
    assert run.wait() == "failed"
    task = run.task("wait_for_training")
    assert (task["state"], task["try_number"]) == ("failed", 1)
    log = run.log("wait_for_training")
    assert "AlgorithmError: the data has no label column" in log
    assert "the last words of the container" in log
    assert "console.aws.amazon.com" in log
    assert len(run.jobs()) == 1


def test_marking_the_wait_failed_stops_the_job(stack: Stack) -> None:
    """Nobody waits for the job any more, so it must not go on costing money."""
    run = Run.start(stack, "train_probe", seconds=300)
    wait_until_watched(run)
    run.mark("wait_for_training", "failed")
    until(lambda: only_job_status(run) == "Stopped", "the job is stopped")


def test_clearing_the_wait_stops_the_job(stack: Stack) -> None:
    """Clearing a deferred wait kills it, and with it the job that it watched."""
    run = Run.start(stack, "train_probe", seconds=300)
    wait_until_watched(run)
    run.clear("wait_for_training")
    until(lambda: only_job_status(run) == "Stopped", "the job is stopped")
    assert run.wait() == "failed"
    assert "Stopped" in run.log("wait_for_training")


def test_restarting_the_triggerer_does_not_stop_the_job(stack: Stack) -> None:
    """A triggerer that goes away and comes back finds the wait again; the job never notices."""
    run = Run.start(stack, "train_probe", seconds=25)
    wait_until_watched(run)
    triggerer = stack.processes.running["triggerer"]
    os.killpg(triggerer.pid, signal.SIGTERM)
    triggerer.wait(60)
    assert only_job_status(run) == "InProgress"
    port = int(stack.environment["AIRFLOW__API__PORT"])
    stack.processes.start("triggerer", part_commands(port)["triggerer"], stack.environment, CHECKOUT)
    assert run.wait() == "success"
    assert only_job_status(run) == "Completed"
    assert len(run.jobs()) == 1
