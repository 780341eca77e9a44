"""One wait of the stock provider for each run, for the job that has the run's id as its name."""

from __future__ import annotations

from airflow.providers.amazon.aws.operators.sagemaker import SageMakerTrainingOperator
from airflow.sdk import DAG

with DAG(dag_id="waits", schedule=None):
    SageMakerTrainingOperator(
        task_id="wait",
        config={"TrainingJobName": "{{ run_id }}"},
        region_name="us-east-1",
        deferrable=True,
    )
