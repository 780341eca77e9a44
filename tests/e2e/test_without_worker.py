"""Which waits the real scheduler starts a worker for, and that they end the same with and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.probe import Run, aws, until
from tests.e2e.wait_probe import create_job

if TYPE_CHECKING:
    from local_stack.stack import Stack

NO_WORKER = {"plain", "by_result", "by_date"}
"""Neither for a wait that succeeds nor for one that fails."""

NO_WORKER_FOR_SUCCESS = {*NO_WORKER, "with_retries", "soft", "never_fails", "told"}
FROM_WORKER = {
    "on_worker",
    "prepared",
    "finished",
    "without_result",
    "with_outlet",
    "with_outlet_and_retries",
    "begun",
    "announced",
    "several_results",
    "limited",
    "pulled",
    "mapped[0]",
    "mapped[1]",
    "each.in_group[0]",
}
WAITS = NO_WORKER_FOR_SUCCESS | FROM_WORKER


@pytest.fixture(scope="module")
def image(stack: Stack) -> str:
    """Return the image that the jobs train in."""
    run = Run.start(stack, "train_probe")
    run.wait_for_task("build_push_image", "success")
    return str(run.xcom("build_push_image"))


def run_over(stack: Stack, image: str, name: str, failure: str) -> Run:
    """Train to one end or the other, and run all waits for that job."""
    create_job(stack, name, image, seconds=0, failure=failure)
    sagemaker = aws(stack, "sagemaker")
    until(
        lambda: sagemaker.describe_training_job(TrainingJobName=name)["TrainingJobStatus"] in ("Completed", "Failed"),
        "the job has ended",
    )
    run = Run.start(stack, "without_worker_probe", job=name)
    assert run.wait() == "failed", "in each run there are waits for an endpoint that is not there"
    return run


def tasks_of(run: Run) -> dict[str, dict[str, Any]]:
    """Return the run's task instances by name, mapped ones with their index."""
    found = run.stack.airflow.call("GET", f"{run.path}/taskInstances")["task_instances"]
    return {
        each["task_id"] + (f"[{each['map_index']}]" if each["map_index"] >= 0 else ""): each
        for each in found
        if not each["task_id"].startswith("name")
    }


def with_worker(run: Run, tasks: dict[str, dict[str, Any]]) -> set[str]:
    """Return the tasks that had a worker: only one of those has a process of its own."""
    return {name for name, each in tasks.items() if each["pid"] is not None}


def test_a_wait_that_succeeds_has_a_worker_only_where_something_needs_one(stack: Stack, image: str) -> None:
    """All return the same, outlets become events, and nothing is tried twice."""
    run = run_over(stack, image, "without-worker-completed", failure="")
    tasks = tasks_of(run)
    assert {name for name, each in tasks.items() if each["state"] == "success"} == WAITS
    assert with_worker(run, tasks) & WAITS == FROM_WORKER
    assert {each["try_number"] for name, each in tasks.items() if name in WAITS} == {1}
    result = run.xcom("on_worker")
    assert result["training_job_name"] == "without-worker-completed"
    for name in ("plain", "by_result", "with_retries", "with_outlet", "finished"):
        assert run.xcom(name) == result
    events = stack.airflow.call("GET", "/assets/events", params={"source_run_id": run.run_id})["asset_events"]
    assert {each["source_task_id"] for each in events} == {"with_outlet", "with_outlet_and_retries"}
    assert "#/jobs/without-worker-completed" in run.link("plain", "SageMaker training job")


def test_a_wait_that_fails_has_a_worker_only_where_something_needs_one(stack: Stack, image: str) -> None:
    """All fail for good with the reason in their log, those with retries and callbacks by way of a worker."""
    run = run_over(stack, image, "without-worker-failed", failure="no label column")
    tasks = tasks_of(run)
    skipped = {"soft", "never_fails", "endpoint_soft"}
    assert {name for name, each in tasks.items() if each["state"] == "skipped"} == skipped
    assert {each["state"] for name, each in tasks.items() if name not in skipped} == {"failed"}
    assert {each["try_number"] for each in tasks.values()} == {1}
    without = {name for name in tasks if name not in with_worker(run, tasks)}
    assert without == {*NO_WORKER, "endpoint"}
    for name in (*NO_WORKER, "with_retries", "on_worker"):
        assert "AlgorithmError: no label column" in run.log(name)
    for name in ("endpoint", "endpoint_with_retries", "endpoint_on_worker"):
        assert "Endpoint nowhere: it does not exist" in run.log(name)
    assert "#/endpoints/nowhere" in run.link("endpoint", "SageMaker endpoint")
