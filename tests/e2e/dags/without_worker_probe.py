"""Waits of every kind for one job that has ended, to see which of them Airflow starts a worker for."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from airflow.sdk import DAG, Asset, task, task_group

from sagemaker_byoc.sensors.endpoint import EndpointSensor
from sagemaker_byoc.sensors.training_job import TrainingJobSensor


def do_nothing(*_: Any) -> None:
    """Stand for what a DAG's author has done before, after or instead."""


@task
def name_of_job(params: dict[str, Any] | None = None) -> str:
    """Return the job's name, as a task that made it would."""
    return str((params or {})["job"])


@task
def names_of_jobs(params: dict[str, Any] | None = None) -> list[str]:
    """Return a list that a group is mapped over."""
    return [str((params or {})["job"])]


def wait(task_id: str, **settings: Any) -> TrainingJobSensor:
    """Make a sensor for the run's job."""
    return TrainingJobSensor(**{"task_id": task_id, "training_job_name": "{{ params.job }}", **settings})


with DAG(
    dag_id="without_worker_probe",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
    max_active_runs=2,
    params={"job": ""},
    default_args={"region_name": "{{ var.json.sagemaker_retrain.region_name }}", "retry_delay": timedelta(seconds=1)},
):
    job = name_of_job()
    wait("plain")
    wait("by_result", training_job_name=job)
    wait("by_date", training_job_name="{{ params.job }}{{ '' if dag_run.run_after | ds_nodash else '' }}")
    wait("with_retries", retries=2)
    wait("on_worker", deferrable=False)
    wait("prepared", pre_execute=do_nothing)
    wait("finished", post_execute=do_nothing)
    wait("without_result", do_xcom_push=False)
    wait("with_outlet", outlets=[Asset("s3://models/probe")])
    wait("with_outlet_and_retries", outlets=[Asset("s3://models/probe")], retries=2)
    wait("begun", on_execute_callback=do_nothing)
    wait("announced", on_success_callback=do_nothing)
    wait("several_results", multiple_outputs=True)
    wait("limited", max_active_tis_per_dag=8)
    wait("soft", soft_fail=True)
    wait("never_fails", never_fail=True)
    wait("told", on_failure_callback=do_nothing)
    wait("pulled", training_job_name="{{ ti.xcom_pull(task_ids='name_of_job') }}").set_upstream(job)
    TrainingJobSensor.partial(task_id="mapped").expand(training_job_name=[job, job])

    @task_group
    def each(name: str) -> None:
        """Hold a sensor that is not mapped itself."""
        wait("in_group", training_job_name=name)

    each.expand(name=names_of_jobs())

    no_endpoint: dict[str, Any] = {"endpoint": "nowhere", "endpoint_config_name": "none"}
    EndpointSensor(task_id="endpoint", **no_endpoint)
    EndpointSensor(task_id="endpoint_with_retries", retries=1, **no_endpoint)
    EndpointSensor(task_id="endpoint_on_worker", deferrable=False, poll_interval_seconds=0.1, **no_endpoint)
    EndpointSensor(task_id="endpoint_with_outlet", outlets=[Asset("s3://models/probe")], **no_endpoint)
    EndpointSensor(task_id="endpoint_soft", soft_fail=True, **no_endpoint)
    EndpointSensor.partial(task_id="endpoint_mapped", endpoint_config_name="none").expand(endpoint=["nowhere"])
