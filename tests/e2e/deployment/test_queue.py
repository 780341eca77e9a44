"""Backfills whose runs deploy to one endpoint, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local_stack.errors import StackError
from tests.e2e.probe import Run, aws, until

if TYPE_CHECKING:
    from local_stack.stack import Stack


@pytest.fixture(scope="module")
def model(stack: Stack) -> str:
    """A model whose container serves."""
    run = Run.start(stack, "train_probe")
    assert run.wait() == "success"
    container = {"Image": run.xcom("build_push_image"), "ModelDataUrl": artifact(stack, run)}
    role: str = stack.account.settings["role_arn"]
    aws(stack, "sagemaker").create_model(ModelName="probe", ExecutionRoleArn=role, PrimaryContainer=container)
    return "probe"


def artifact(stack: Stack, run: Run) -> str:
    """Return the URI of what the run's job made."""
    job = aws(stack, "sagemaker").describe_training_job(TrainingJobName=run.xcom("create_training_job"))
    return str(job["ModelArtifacts"]["S3ModelArtifacts"])


def backfill(stack: Stack, dag_id: str, first: int, last: int, **params: Any) -> None:
    """Start runs for the data of these days of January, ten at once."""
    until(lambda: stack.airflow.has_dag(dag_id), f"the DAG {dag_id} is found")
    body = {
        "dag_id": dag_id,
        "from_date": f"2026-01-{first:02d}T00:00:00Z",
        "to_date": f"2026-01-{last:02d}T00:00:00Z",
        "max_active_runs": 10,
        "dag_run_conf": params,
    }

    def begins() -> bool:
        try:
            stack.airflow.call("POST", "/backfills", json=body)
        except StackError as error:
            # The scheduler was writing to SQLite; Airflow has made nothing then.
            if "Database is locked" not in str(error):
                raise
            return False
        return True

    until(begins, f"a backfill of {dag_id} begins")


def ended(stack: Stack, dag_id: str, count: int) -> list[Run]:
    """Return the DAG's runs in the order of their data, once there are so many and all of them have ended."""

    def look() -> list[dict[str, Any]]:
        runs: list[dict[str, Any]] = stack.airflow.call("GET", f"/dags/{dag_id}/dagRuns")["dag_runs"]
        over = [run for run in runs if run["state"] in ("success", "failed")]
        return over if len(over) == count else []

    runs = sorted(until(look, f"{count} runs of {dag_id} end", 400), key=lambda run: str(run["logical_date"]))
    assert [run["state"] for run in runs] == ["success"] * count
    return [Run(stack, dag_id, run["dag_run_id"]) for run in runs]


def proven(runs: list[Run]) -> list[int]:
    """Return the places of those whose model passed its test, in the order of the tests; the others were skipped."""
    tests = [run.task("smoke_test") for run in runs]
    assert {test["state"] for test in tests} <= {"success", "skipped"}
    passed = [place for place, test in enumerate(tests) if test["state"] == "success"]
    return sorted(passed, key=lambda place: str(tests[place]["end_date"]))


def live_date(stack: Stack, endpoint: str) -> str:
    """Return the date of the data of the model that serves."""
    sagemaker = aws(stack, "sagemaker")
    live = sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointConfigName"]
    arn = sagemaker.describe_endpoint_config(EndpointConfigName=live)["EndpointConfigArn"]
    return str({tag["Key"]: tag["Value"] for tag in sagemaker.list_tags(ResourceArn=arn)["Tags"]}["data_date"][:10])


def test_two_dags_share_an_endpoint(stack: Stack, model: str) -> None:
    """Their runs queue up behind each other as those of one do, and the newest data serve at the end."""
    backfill(stack, "deploy_probe", 1, 2, endpoint="shared", model=model)
    backfill(stack, "another_deploy_probe", 3, 4, endpoint="shared", model=model)
    runs = ended(stack, "deploy_probe", 2) + ended(stack, "another_deploy_probe", 2)
    order = proven(runs)
    assert order == sorted(order)
    assert order[-1] == 3
    assert live_date(stack, "shared") == "2026-01-04"


def test_of_ten_racing_runs_the_newest_is_live_at_the_end(stack: Stack, model: str) -> None:
    """No run is overtaken between its deployment and its test, and none is replaced by an older one."""
    backfill(stack, "racing_deploy_probe", 1, 10, endpoint="raced", model=model)
    runs = ended(stack, "racing_deploy_probe", 10)
    order = proven(runs)
    assert order == sorted(order)
    assert order[-1] == 9
    assert live_date(stack, "raced") == "2026-01-10"
    waited = "\n".join(run.log("create_endpoint") for run in runs)
    assert "of racing_deploy_probe has endpoint raced to itself" in waited
