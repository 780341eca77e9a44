"""Train for a second, make the model, create the endpoint: from the stock operators.

Written as the Amazon provider's guide shows them, with the requests in full; once with the defaults and once deferred.
"""

from __future__ import annotations

from airflow.providers.amazon.aws.operators.sagemaker import (
    SageMakerEndpointConfigOperator,
    SageMakerEndpointOperator,
    SageMakerModelOperator,
    SageMakerTrainingOperator,
)
from airflow.sdk import DAG

NAME = "{{ params.name }}"


def chain(dag_id: str, *, deferrable: bool) -> DAG:
    """Return the chain."""
    with DAG(
        dag_id=dag_id,
        schedule=None,
        params={"name": "", "image": "", "role": "", "output": ""},
        default_args={"region_name": "us-east-1"},
    ) as dag:
        train = SageMakerTrainingOperator(
            task_id="train",
            deferrable=deferrable,
            config={
                "TrainingJobName": NAME,
                "RoleArn": "{{ params.role }}",
                "AlgorithmSpecification": {"TrainingImage": "{{ params.image }}", "TrainingInputMode": "File"},
                "OutputDataConfig": {"S3OutputPath": "{{ params.output }}"},
                "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
                "StoppingCondition": {"MaxRuntimeInSeconds": 600},
            },
        )
        model = SageMakerModelOperator(
            task_id="create_model",
            config={
                "ModelName": NAME,
                "ExecutionRoleArn": "{{ params.role }}",
                "PrimaryContainer": {
                    "Image": "{{ params.image }}",
                    "ModelDataUrl": "{{ params.output }}/{{ params.name }}/output/model.tar.gz",
                },
            },
        )
        config = SageMakerEndpointConfigOperator(
            task_id="create_endpoint_config",
            config={
                "EndpointConfigName": NAME,
                "ProductionVariants": [
                    {
                        "VariantName": "AllTraffic",
                        "ModelName": NAME,
                        "InstanceType": "ml.m5.large",
                        "InitialInstanceCount": 1,
                    }
                ],
            },
        )
        endpoint = SageMakerEndpointOperator(
            task_id="deploy",
            deferrable=deferrable,
            config={"EndpointName": NAME, "EndpointConfigName": NAME},
        )
        train >> model >> config >> endpoint
    return dag


chain("chain", deferrable=False)
chain("chain_deferrable", deferrable=True)
