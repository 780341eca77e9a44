"""Let an endpoint serve an earlier model again.

For the day on which a model that passed its smoke test turns out to be bad. Started by hand; the form takes the
endpoint and, if another one than the last is wanted, the configuration to go back to.

| task | what it does |
|---|---|
| `list_configs` | lists the endpoint's last configurations with data, model, creation, run and test: see its log |
| `restore_endpoint` | puts the chosen one back, and waits until it is live |
| `reject_model` | rejects the version of the model that was taken away, so that it is no champion any more |
| `approve_model` | approves the version of the one that is live again, if it once passed its smoke test |

**Without a configuration** it goes back to what the live one replaced, or if that is not known to the newest one that
passed its smoke test; one that failed it, or that AWS could not make live, is passed over. A candidate that stands
beside the live model is taken away. To choose, trigger with *Restore* off, read the table in the log of `list_configs`,
and trigger again with the name.

**The model registry** follows what is live, where the deployment told which version it was. With *Model registry* off,
both versions stay as they are, for example because the one that is taken away is good and only comes too early.

**What if** there is nothing to go back to, as after a first deployment, or models or configuration were deleted: then
the task says so, and changes nothing. An endpoint that was
deleted or is Failed is created again.

**Settings** are those of `sagemaker_retrain`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import DAG, Param
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sagemaker_byoc.config_history import PASSED
from sagemaker_byoc.operators.endpoint_config import ListEndpointConfigsOperator
from sagemaker_byoc.operators.model_package import ApproveModelOperator, RejectModelOperator
from sagemaker_byoc.operators.restore import RestoreEndpointOperator

if TYPE_CHECKING:
    from airflow.sdk import Context

LISTED = "ti.xcom_pull(task_ids='list_configs')"
# The name comes from the list, so that a retry means the same one although another is live by then.
CHOSEN = f"(params.endpoint_config_name or {LISTED}['before_live'] or '')"
ENDPOINT_NAME = "{{ params.endpoint_name or var.json.sagemaker_retrain.endpoint_name }}"


def skip_unless_restoring(context: Context) -> None:
    """End a run that was asked for the list only."""
    if not context["params"]["restore"]:
        raise AirflowSkipException("the param restore is off: the endpoint stays as it is")


def check_way_back(context: Context) -> None:
    """End a run that was asked for the list only; refuse one that has nothing to go back to."""
    skip_unless_restoring(context)
    listed = context["ti"].xcom_pull(task_ids="list_configs")
    if not (context["params"]["endpoint_config_name"] or listed["before_live"]):
        message = (
            f"Endpoint {listed['endpoint_name']} has {listed['live']}, and nothing to go back to is known: it replaced "
            "nothing that is still there, and no older configuration is listed that did not fail. Name one in the form."
        )
        raise AirflowFailException(message)


def skip_unless_judging(context: Context) -> None:
    """Leave the model registry alone where nothing was put back, or nobody wants it to follow."""
    skip_unless_restoring(context)
    if not context["params"]["update_registry"]:
        raise AirflowSkipException("the param update_registry is off: the versions stay as they are")


def version_taken_away(listed: dict[str, Any], chosen: str) -> str:
    """Return the ARN of the version that was live, or stood beside what was; empty when it is not known, or still live.

    It is still live, too, where a candidate is given the endpoint to itself, or the same version another configuration.
    """
    live = _listed(listed, listed["live"])
    version = live.get("model_package") or live.get("candidate_package") or ""
    is_still_live = chosen in (listed["live"], live.get("candidate_for"))
    return "" if is_still_live or _goes_on(listed, chosen, version) else version


def _goes_on(listed: dict[str, Any], chosen: str, version: str) -> bool:
    """Say whether a version serves with the chosen configuration as well, or may, as far as the list tells."""
    config = _listed(listed, chosen)
    if version in (config.get("model_package"), config.get("candidate_package")):
        return True
    if not config.get("candidate_for"):
        return False
    beside = _listed(listed, config["replaced"])
    return bool(not beside or beside["candidate_for"] or beside["model_package"] == version)


def version_put_back(listed: dict[str, Any], chosen: str) -> str:
    """Return the ARN of the version that is live again; empty when it is not known, or was never proven."""
    config = _listed(listed, chosen)
    return config.get("model_package", "") if config.get("smoke_test") == PASSED else ""


def _listed(listed: dict[str, Any], name: str) -> dict[str, Any]:
    return next((config for config in listed["configs"] if config["name"] == name), {})


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
    user_defined_macros={"version_taken_away": version_taken_away, "version_put_back": version_put_back},
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
        "update_registry": Param(
            True,
            type="boolean",
            title="Model registry",
            description="Reject the version that is taken away, approve the one that is live again.",
        ),
    },
) as dag:
    list_configs = ListEndpointConfigsOperator(
        task_id="list_configs",
        endpoint_name=ENDPOINT_NAME,
        maximum_configs="{{ params.maximum_configs }}",
        endpoint_config_name="{{ params.endpoint_config_name or '' }}",
    )

    restore_endpoint = RestoreEndpointOperator(
        task_id="restore_endpoint",
        pre_execute=check_way_back,
        endpoint_name=ENDPOINT_NAME,
        endpoint_config_name=f"{{{{ {CHOSEN} }}}}",
    )

    # A retry of restore_endpoint that finds its work done is skipped, and the registry has to follow all the same.
    reject_model = RejectModelOperator(
        task_id="reject_model",
        trigger_rule="none_failed",
        pre_execute=skip_unless_judging,
        model_package=f"{{{{ version_taken_away({LISTED}, {CHOSEN}) }}}}",
        description="taken away by run {{ run_id }} of DAG sagemaker_restore",
    )

    approve_model = ApproveModelOperator(
        task_id="approve_model",
        trigger_rule="none_failed",
        pre_execute=skip_unless_judging,
        model_package=f"{{{{ version_put_back({LISTED}, {CHOSEN}) }}}}",
        description="put back by run {{ run_id }} of DAG sagemaker_restore",
    )

    list_configs >> restore_endpoint >> [reject_model, approve_model]
