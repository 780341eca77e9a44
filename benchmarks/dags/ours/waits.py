"""One wait of ours for each run, for the job named like the run; the benchmark gives further parameters."""

from __future__ import annotations

import json
import os

from airflow.sdk import DAG

from sagemaker_byoc.sensors.training_job import TrainingJobSensor

with DAG(dag_id="waits", schedule=None):
    TrainingJobSensor(
        task_id="wait",
        training_job_name="{{ run_id }}",
        region_name="us-east-1",
        **json.loads(os.environ["BENCHMARK_SENSOR"]),
    )
