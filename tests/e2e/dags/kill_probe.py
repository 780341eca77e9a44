"""The four ways to wait for a training job, each in a DAG of its own, so that runs can be killed one by one."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator, StopTrainingJobOperator
from sagemaker_byoc.sensors.training_job import TrainingJobSensor

EVERY_RUN: dict[str, Any] = {
    "schedule": None,
    "max_active_runs": 16,
    "params": {"job": "", "image": "", "seconds": 0.0},
    "default_args": {"region_name": "us-east-1", "retries": 1, "retry_delay": timedelta(seconds=1)},
}
CREATE: dict[str, Any] = {
    "task_id": "wait",
    "job_name_base": "{{ params.job }}",
    "image_uri": "{{ params.image }}",
    "wait_for_completion": True,
    "poll_interval_seconds": 1,
    "config": {
        "RoleArn": "{{ var.json.sagemaker_retrain.role_arn }}",
        "AlgorithmSpecification": {"TrainingInputMode": "File"},
        "HyperParameters": {"seconds": "{{ params.seconds }}", "failure": ""},
        "OutputDataConfig": {"S3OutputPath": "s3://{{ var.json.sagemaker_retrain.bucket }}/probe"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 600},
    },
}
WATCH: dict[str, Any] = {"task_id": "wait", "training_job_name": "{{ params.job }}", "poll_interval_seconds": 1}

with DAG(dag_id="sensor_in_triggerer", **EVERY_RUN):
    TrainingJobSensor(**WATCH)

with DAG(dag_id="sensor_on_worker", **EVERY_RUN):
    TrainingJobSensor(**WATCH, deferrable=False)

with DAG(dag_id="operator_in_triggerer", **EVERY_RUN):
    CreateTrainingJobOperator(**CREATE)

with DAG(dag_id="operator_on_worker", **EVERY_RUN):
    CreateTrainingJobOperator(**CREATE, deferrable=False)

with DAG(dag_id="sensor_in_triggerer_and_teardown", **EVERY_RUN):
    stop = StopTrainingJobOperator(task_id="stop", training_job_name="{{ params.job }}")
    TrainingJobSensor(**WATCH) >> stop.as_teardown()

with DAG(dag_id="sensor_in_triggerer_kept", **EVERY_RUN):
    TrainingJobSensor(**WATCH, stop_on_kill=False)

with DAG(dag_id="sensor_in_triggerer_kept_timeout", **EVERY_RUN):
    TrainingJobSensor(**WATCH, stop_on_kill=False, timeout=5)

with DAG(dag_id="sensor_on_worker_kept", **EVERY_RUN):
    TrainingJobSensor(**WATCH, deferrable=False, stop_on_kill=False)

with DAG(dag_id="sensor_in_triggerer_timeout", **EVERY_RUN):
    TrainingJobSensor(**WATCH, timeout=5)

with DAG(dag_id="sensor_in_triggerer_by_worker", **EVERY_RUN):
    TrainingJobSensor(**WATCH, pre_execute=lambda _: None)

with DAG(dag_id="sensor_in_triggerer_by_worker_execution_timeout", **EVERY_RUN):
    TrainingJobSensor(**WATCH, pre_execute=lambda _: None, execution_timeout=timedelta(seconds=5))

with DAG(dag_id="sensor_in_triggerer_execution_timeout", **EVERY_RUN):
    TrainingJobSensor(**WATCH, execution_timeout=timedelta(seconds=5))

with DAG(dag_id="sensor_on_worker_timeout", **EVERY_RUN):
    TrainingJobSensor(**WATCH, deferrable=False, timeout=5)

with DAG(dag_id="sensor_on_worker_execution_timeout", **EVERY_RUN):
    TrainingJobSensor(**WATCH, deferrable=False, execution_timeout=timedelta(seconds=5))

with DAG(dag_id="operator_in_triggerer_execution_timeout", **EVERY_RUN):
    CreateTrainingJobOperator(**CREATE, execution_timeout=timedelta(seconds=5))

with DAG(dag_id="operator_on_worker_execution_timeout", **EVERY_RUN):
    CreateTrainingJobOperator(**CREATE, deferrable=False, execution_timeout=timedelta(seconds=5))
