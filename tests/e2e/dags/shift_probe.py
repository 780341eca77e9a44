"""Puts a model beside the live one and shifts the traffic to it, slowly enough to be killed on the way."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.traffic_shift import ShiftTrafficOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor

VARIANT = {"VariantName": "AllTraffic", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}

with DAG(
    dag_id="shift_probe",
    schedule=None,
    max_active_runs=16,
    params={"endpoint": "", "model": ""},
    default_args={"region_name": "us-east-1", "retries": 1, "retry_delay": timedelta(seconds=1)},
):
    deployed = CreateEndpointOperator(
        task_id="create_endpoint",
        endpoint_name="{{ params.endpoint }}",
        model_name="{{ params.model }}",
        config={"ProductionVariants": [VARIANT]},
        strategy="candidate",
        poll_interval_seconds=1,
    )
    wait = EndpointSensor(task_id="wait_for_endpoint", endpoint=deployed.output, poll_interval_seconds=1)
    # Nobody asks the endpoint meanwhile, so that each step lasts twice as long.
    shift = ShiftTrafficOperator(
        task_id="shift_traffic",
        deployment=deployed.output,
        steps=[50, 100],
        bake_seconds=20,
        poll_interval_seconds=1,
    )
    deployed >> wait >> shift
