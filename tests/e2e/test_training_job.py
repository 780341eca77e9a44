"""How many jobs a run pays for, and what its tasks say of one that failed; kills are in ``test_kill.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.probe import Run, until

if TYPE_CHECKING:
    from local_stack.stack import Stack


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
