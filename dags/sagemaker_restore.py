"""Let an endpoint serve an earlier model again.

For the day on which a model that passed its smoke test turns out to be bad. Started by hand; the form takes the
endpoint and, if another one than the last is wanted, the configuration to go back to.

| task | what it does |
|---|---|
| `list_configs` | lists the endpoint's last configurations with data, model, creation, run and test: see its log |
| `restore_endpoint` | puts the chosen one back, and waits until it is live |

**Without a configuration** it goes back to what the live one replaced, or if that is not known to the newest one that
passed its smoke test; one that failed it, or that AWS could not make live, is passed over. To choose, trigger with
*Restore* off, read the table in the log of `list_configs`, and trigger again with the name.

**What if** models or configuration were deleted: then the task says which, and changes nothing. An endpoint that was
deleted or is Failed is created again.

**Settings** are those of `sagemaker_retrain`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_byoc.operators.endpoint_config import ListEndpointConfigsOperator
from sagemaker_byoc.operators.restore import RestoreEndpointOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

ENDPOINT_NAME = "{{ params.endpoint_name or var.json.sagemaker_retrain.endpoint_name }}"


def skip_unless_restoring(context: Context) -> None:
    """End a run that was asked for the list only."""
    if not context["params"]["restore"]:
        raise AirflowSkipException("the param restore is off: the endpoint stays as it is")


with DAG(
    dag_id="sagemaker_restore",
    doc_md=__doc__,
    description="Let an endpoint serve an earlier model again",
    schedule=None,
    max_active_runs=1,
    default_args={
        "retries": 2,
        "retry_delay": timedelta(seconds=30),
        "region_name": "{{ var.json.sagemaker_retrain.region_name }}",
    },
    tags=["sagemaker", "retraining"],
    params={
        "endpoint_name": Param(
            None,
            type=["null", "string"],
            maxLength=63,
            title="Endpoint",
            description="Empty: the one of the Airflow Variable.",
        ),
        "endpoint_config_name": Param(
            None,
            type=["null", "string"],
            maxLength=63,
            title="Configuration",
            description="Which one shall serve. Empty: the one before the live one.",
        ),
        "maximum_configs": Param(
            10, type="integer", minimum=1, maximum=100, title="List", description="How many configurations to list."
        ),
        "restore": Param(
            True, type="boolean", title="Restore", description="Off: list only, leave the endpoint as it is."
        ),
    },
) as dag:
    list_configs = ListEndpointConfigsOperator(
        task_id="list_configs",
        endpoint_name=ENDPOINT_NAME,
        maximum_configs="{{ params.maximum_configs }}",
    )

    restore_endpoint = RestoreEndpointOperator(
        task_id="restore_endpoint",
        pre_execute=skip_unless_restoring,
        endpoint_name=ENDPOINT_NAME,
        # The name comes from the list, so that a retry means the same one although another is live by then.
        endpoint_config_name=(
            "{{ params.endpoint_config_name or ti.xcom_pull(task_ids='list_configs')['before_live'] or '' }}"
        ),
    )

    list_configs >> restore_endpoint
