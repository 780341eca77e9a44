"""Backfills over past data."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

from local_stack.airflow_parts import airflow_command
from local_stack.home import CHECKOUT
from local_stack.stack import DAG_ID
from tests.e2e.probe import Run, aws, until
from tests.support.readme import command

if TYPE_CHECKING:
    from local_stack.stack import Stack

DAYS = ["2026-01-01", "2026-01-02", "2026-01-03"]


def backfill_runs(stack: Stack) -> list[dict[str, Any]]:
    """Return the runs that the backfill made, once all of them have ended."""
    runs = stack.airflow.call("GET", f"/dags/{DAG_ID}/dagRuns")["dag_runs"]
    ours = [run for run in runs if run["run_type"] == "backfill"]
    ended = [run for run in ours if run["state"] in ("success", "failed")]
    return ended if len(ended) == len(DAYS) else []


def report_beside(stack: Stack, artifact: str) -> dict[str, Any]:
    """Return the smoke test's report from the folder of a model's artifact."""
    bucket, _, key = artifact.removeprefix("s3://").partition("/")
    found = aws(stack, "s3").get_object(Bucket=bucket, Key=key.replace("model.tar.gz", "smoke-test.json"))
    report: dict[str, Any] = json.loads(found["Body"].read())
    return report


def test_three_days_train_on_their_own_partitions(stack: Stack) -> None:
    """Three days give three runs at once, three jobs and three partitions, and what was deployed its report beside it.

    A model that is older than the live one, or does not win against the champion, is not deployed.
    """
    typed = command("airflow backfill").split()
    ran = subprocess.run(
        airflow_command(*typed[1:]),
        env=stack.environment,
        cwd=CHECKOUT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    runs = until(lambda: backfill_runs(stack), "all runs of the backfill end", 480)
    assert [run["state"] for run in runs] == ["success"] * len(DAYS)
    sagemaker = aws(stack, "sagemaker")
    trained, tested = [], []
    for run in sorted(runs, key=lambda run: str(run["logical_date"])):
        name = stack.airflow.xcom(DAG_ID, run["dag_run_id"], "create_training_job")
        job = sagemaker.describe_training_job(TrainingJobName=name)
        trained.append([channel["DataSource"]["S3DataSource"]["S3Uri"] for channel in job["InputDataConfig"]])
        if Run(stack, DAG_ID, run["dag_run_id"]).state("smoke_test") == "success":
            tested.append(report_beside(stack, job["ModelArtifacts"]["S3ModelArtifacts"])["passed"])
    assert tested
    assert all(tested)
    for day, uris in zip(DAYS, trained, strict=True):
        assert uris
        assert all(f"/{day}/" in uri for uri in uris)
