"""A training job whose length and end the run decides, to see what the waiting tasks do about it."""

from __future__ import annotations

import os
import signal
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG

from sagemaker_byoc.operators.image import BuildPushImageOperator
from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator
from sagemaker_byoc.sensors.training_job import TrainingJobSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

CONTAINER = Path(__file__).resolve().parents[1] / "container"
BUCKET = "{{ var.json.sagemaker_retrain.bucket }}"


def die_on_the_first_try(context: Context, _result: Any = None) -> None:
    """End the task's process as the kernel does when memory runs out, before the task could say what it made."""
    if context["params"]["kill_first_try"] and context["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


with DAG(
    dag_id="train_probe",
    schedule=None,
    max_active_runs=8,
    params={"seconds": 0.0, "failure": "", "kill_first_try": False},
    default_args={"region_name": "us-east-1", "retries": 2, "retry_delay": timedelta(seconds=1)},
):
    image = BuildPushImageOperator(
        task_id="build_push_image",
        context_path=str(CONTAINER),
        repository="train-probe",
        builder="codebuild",
        project_name="{{ var.json.sagemaker_retrain.codebuild_project }}",
        source_bucket=BUCKET,
    )
    job = CreateTrainingJobOperator(
        task_id="create_training_job",
        post_execute=die_on_the_first_try,
        image_uri=image.output,
        config={
            "RoleArn": "{{ var.json.sagemaker_retrain.role_arn }}",
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "HyperParameters": {"seconds": "{{ params.seconds }}", "failure": "{{ params.failure }}"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/probe"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    )
    wait = TrainingJobSensor(task_id="wait_for_training", training_job_name=job.output)
    image >> job >> wait
