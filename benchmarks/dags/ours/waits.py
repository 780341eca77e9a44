"""One wait of ours for each run, for the job that has the run's id as its name."""

from __future__ import annotations

import os

from airflow.sdk import DAG

from sagemaker_byoc.sensors.training_job import TrainingJobSensor

with DAG(dag_id="waits", schedule=None):
    TrainingJobSensor(
        task_id="wait",
        training_job_name="{{ run_id }}",
        region_name="us-east-1",
        stream_logs=os.environ["BENCHMARK_STREAM_LOGS"] == "yes",
        event_queue_url=os.environ["BENCHMARK_QUEUE_URL"] or None,
    )
