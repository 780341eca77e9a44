"""Three DAGs that deploy a model and test it, to see how their runs get on with each other on one endpoint."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from airflow.sdk import DAG, CronDataIntervalTimetable

from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor


def deploy_and_test() -> None:
    """Make the tasks of one DAG; the data of each day make a configuration of their own."""
    variant = {
        "VariantName": "Day-{{ ds_nodash }}",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    deployed = CreateEndpointOperator(
        task_id="create_endpoint",
        endpoint_name="{{ params.endpoint }}",
        model_name="{{ params.model }}",
        config={"ProductionVariants": [variant]},
        poll_interval_seconds=1,
    )
    wait = EndpointSensor(task_id="wait_for_endpoint", endpoint=deployed.output, poll_interval_seconds=1)
    test = InvokeSmokeTestOperator(
        task_id="smoke_test",
        endpoint_name="{{ params.endpoint }}",
        endpoint_config_name="{{ ti.xcom_pull(task_ids='wait_for_endpoint')['endpoint_config_name'] }}",
        records=[{"length": 1, "kind": "short"}],
        label_column="kind",
    )
    deployed >> wait >> test


for dag_id in ("deploy_probe", "another_deploy_probe", "racing_deploy_probe"):
    with DAG(
        dag_id=dag_id,
        schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=16,
        params={"endpoint": "", "model": ""},
        default_args={"region_name": "us-east-1", "retries": 2, "retry_delay": timedelta(seconds=1)},
    ):
        deploy_and_test()
