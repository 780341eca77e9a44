"""Train for a second, make the model, create the endpoint: from the project's own operators."""

from __future__ import annotations

from airflow.sdk import DAG

from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.model import CreateModelOperator
from sagemaker_byoc.operators.training_job import CreateTrainingJobOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from sagemaker_byoc.sensors.training_job import TrainingJobSensor

with DAG(
    dag_id="chain",
    schedule=None,
    params={"name": "", "image": "", "role": "", "output": ""},
    default_args={"region_name": "us-east-1"},
):
    job = CreateTrainingJobOperator(
        task_id="create_training_job",
        job_name_base="{{ params.name }}",
        image_uri="{{ params.image }}",
        config={
            "RoleArn": "{{ params.role }}",
            "AlgorithmSpecification": {"TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": "{{ params.output }}"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 600},
        },
    )
    wait_for_job = TrainingJobSensor(
        task_id="wait_for_training",
        training_job_name=job.output,
    )
    model = CreateModelOperator(
        task_id="create_model",
        training_job=wait_for_job.output,
        config={"ExecutionRoleArn": "{{ params.role }}"},
    )
    endpoint = CreateEndpointOperator(
        task_id="create_endpoint",
        endpoint_name="{{ params.name }}",
        model_name=model.output,
        config={"ProductionVariants": [{"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}]},
    )
    wait_for_endpoint = EndpointSensor(
        task_id="wait_for_endpoint",
        endpoint=endpoint.output,
    )
    job >> wait_for_job >> model >> endpoint >> wait_for_endpoint
