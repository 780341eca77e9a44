"""DAGs that deploy a model and test it, to see how their runs get on with each other on one endpoint."""

from __future__ import annotations

import os
import signal
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, CronDataIntervalTimetable

from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor

if TYPE_CHECKING:
    from airflow.sdk import Context

PROBES = ("deploy_probe", "another_deploy_probe", "racing_deploy_probe", "bad_deploy_probe", "other_bad_deploy_probe")


def die_on_the_first_try(context: Context, _result: Any = None) -> None:
    """End the task's process as the kernel does when memory runs out, before the task could say what it deployed."""
    if context["params"]["kill_first_try"] and context["ti"].try_number == 1:
        os.kill(os.getpid(), signal.SIGKILL)


def deploy_and_test() -> None:
    """Make the tasks of one DAG; the data of each day have a model of their own."""
    variant = {
        "VariantName": "AllTraffic",
        "InstanceType": "ml.m5.large",
        "InitialInstanceCount": 1,
    }
    deployed = CreateEndpointOperator(
        task_id="create_endpoint",
        post_execute=die_on_the_first_try,
        endpoint_name="{{ params.endpoint }}",
        model_name="{{ params.model }}-{{ ds_nodash }}",
        config={"ProductionVariants": [variant]},
        poll_interval_seconds=1,
    )
    wait = EndpointSensor(task_id="wait_for_endpoint", endpoint=deployed.output, poll_interval_seconds=1)
    test = InvokeSmokeTestOperator(
        task_id="smoke_test",
        deployment=deployed.output,
        records=[{"length": 1, "kind": "short"}],
        label_column="kind",
    )
    deployed >> wait >> test


for dag_id in (*PROBES, "killed_deploy_probe"):
    with DAG(
        dag_id=dag_id,
        schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
        start_date=datetime(2026, 1, 1, tzinfo=timezone.utc),
        catchup=False,
        max_active_runs=16,
        params={"endpoint": "", "model": "", "kill_first_try": False},
        default_args={"region_name": "us-east-1", "retries": 2, "retry_delay": timedelta(seconds=1)},
    ):
        deploy_and_test()
