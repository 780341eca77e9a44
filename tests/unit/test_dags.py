"""The DAGs that the project brings: how the way back hangs together in them."""

from __future__ import annotations

import importlib.util
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from local_stack.home import CHECKOUT

if TYPE_CHECKING:
    from types import ModuleType


def load(name: str) -> ModuleType:
    """Import a DAG file."""
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "dags" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def context(wait_for_endpoint: str | None = "success", **others: str | None) -> Any:
    """Make the context of a task that can ask for the states of others."""
    states = {"wait_for_endpoint": wait_for_endpoint, **others}

    def get_task_states(*, dag_id: str, task_ids: list[str], run_ids: list[str]) -> dict[str, Any]:
        assert dag_id == "sagemaker_retrain"
        return {run_id: {task_id: states.get(task_id) for task_id in task_ids} for run_id in run_ids}

    return {"ti": SimpleNamespace(dag_id="sagemaker_retrain", run_id="run", get_task_states=get_task_states)}


def test_the_earlier_model_is_brought_back_behind_the_wait_and_the_test() -> None:
    """The smoke test brings it back itself; what kept it from that must not leave a bad model live."""
    dag = load("sagemaker_retrain").dag
    restore, smoke_test = dag.get_task("restore_endpoint"), dag.get_task("smoke_test")
    assert restore.upstream_task_ids >= {"wait_for_endpoint", "smoke_test"}
    assert restore.trigger_rule == "one_failed"
    assert smoke_test.downstream_task_ids == {"shift_traffic", "reject_model", "restore_endpoint"}
    assert restore.downstream_task_ids == {"reject_model"}
    assert restore.deployment == smoke_test.deployment == dag.get_task("create_endpoint").output


@pytest.mark.parametrize("state", ["upstream_failed", "success", "skipped", None])
def test_a_failure_before_the_deployment_brings_nothing_back(state: str | None) -> None:
    """The trigger rule takes it for a failure of the wait, and an XCom of before a clear would name a deployment."""
    module = load("sagemaker_retrain")
    with pytest.raises(AirflowSkipException, match="no deployment of this run failed"):
        module.skip_unless_deployment_failed(context(state))


@pytest.mark.parametrize(("wait", "test"), [("failed", "upstream_failed"), ("success", "failed")])
def test_a_failed_wait_or_test_lets_the_task_run(wait: str, test: str) -> None:
    """Nothing else does."""
    load("sagemaker_retrain").skip_unless_deployment_failed(context(wait, smoke_test=test))


def test_a_restoration_by_hand_asks_only_for_a_form() -> None:
    """It has no schedule, and every param a default, so that a click is enough."""
    module = load("sagemaker_restore")
    assert module.dag.schedule is None
    assert {name: module.dag.params[name] for name in module.dag.params} == {
        "endpoint_name": None,
        "endpoint_config_name": None,
        "maximum_configs": 10,
        "restore": True,
        "update_registry": True,
    }
    with pytest.raises(AirflowSkipException, match="restore is off"):
        module.skip_unless_restoring({"params": {"restore": False}})
    module.skip_unless_restoring({"params": {"restore": True}})


def test_cleaning_up_deletes_nothing_by_itself() -> None:
    """Neither on schedule nor by a click on a form that was not filled in."""
    dag = load("sagemaker_cleanup").dag
    params = {name: dag.params[name] for name in dag.params}
    assert params["delete"] is False
    assert params["endpoints_older_than_days"] is None
    assert (params["retention_days"], params["keep_configs"]) == (30, 3)
    task = dag.get_task("clean_up")
    for name in params:
        assert f"params.{name}" in str(getattr(task, name)), name
        assert name in task.template_fields


def test_the_form_of_the_clean_up_reaches_the_task() -> None:
    """Prices as JSON, and the connection that may delete, if there is one."""
    dag = load("sagemaker_cleanup").dag
    task, environment = dag.get_task("clean_up"), dag.get_template_env()
    settings = {"repository": "iris", "region_name": "eu-west-1"}
    facts = {"params": {"hourly_prices": {"ml.m5.large": 0.1}}, "var": {"json": {"sagemaker_retrain": settings}}}

    def rendered(field: str) -> Any:
        return task.render_template(getattr(task, field), facts, environment)

    assert rendered("hourly_prices") == '{"ml.m5.large": 0.1}'
    assert rendered("repositories") == ["iris"]
    assert rendered("aws_conn_id") == "aws_default"
    settings["cleanup_aws_conn_id"] = "aws_cleanup"
    assert rendered("aws_conn_id") == "aws_cleanup"


def test_a_model_that_was_not_proven_is_rejected() -> None:
    """Behind each task that was to prove it, and behind the way back: what serves still is not rejected."""
    dag = load("sagemaker_retrain").dag
    reject = dag.get_task("reject_model")
    assert reject.trigger_rule == "all_done"
    assert reject.upstream_task_ids >= {"wait_for_endpoint", "smoke_test", "shift_traffic", "restore_endpoint"}
    assert not reject.downstream_task_ids
    assert reject.deployment == dag.get_task("create_endpoint").output


@pytest.mark.parametrize("failed", ["wait_for_endpoint", "smoke_test", "shift_traffic"])
def test_each_task_that_proves_lets_the_model_be_rejected(failed: str) -> None:
    """A container that does not start, a test that fails, clients that get errors."""
    load("sagemaker_retrain").skip_unless_not_proven(context(**{failed: "failed"}))


@pytest.mark.parametrize("state", ["upstream_failed", "success", "skipped", None])
def test_a_failure_before_the_deployment_rejects_nothing(state: str | None) -> None:
    """The trigger rule takes it for a failure of the proof."""
    with pytest.raises(AirflowSkipException, match="no deployment of this run failed"):
        load("sagemaker_retrain").skip_unless_not_proven(context(state, smoke_test=state, shift_traffic=state))


LISTED = {
    "live": "new",
    "before_live": "old",
    "configs": [
        {"name": "new", "model_package": "arn:2", "smoke_test": "passed"},
        {"name": "old", "model_package": "arn:1", "smoke_test": "passed"},
        {"name": "bad", "model_package": "arn:0", "smoke_test": "failed: accuracy"},
    ],
}


@pytest.mark.parametrize(
    ("chosen", "taken_away", "put_back"),
    [("old", "arn:2", "arn:1"), ("bad", "arn:2", ""), ("unknown", "arn:2", ""), ("new", "", "arn:2")],
)
def test_the_registry_follows_a_restoration_by_hand(chosen: str, taken_away: str, put_back: str) -> None:
    """What failed its test is not approved by being put back, and nothing is taken away that is live."""
    module = load("sagemaker_restore")
    names = {"params": {"endpoint_config_name": chosen}, "ti": SimpleNamespace(xcom_pull=lambda **_: LISTED)}
    found = [rendered(module.dag.get_task(task_id), names) for task_id in ("reject_model", "approve_model")]
    assert found == [taken_away, put_back]
    assert module.version_taken_away({**LISTED, "live": None}, "old") == "", "the endpoint was deleted"


BESIDE = {
    "live": "held",
    "before_live": "old",
    "configs": [{"name": "held", "candidate_for": "own", "candidate_package": "arn:2"}, *LISTED["configs"]],
}


@pytest.mark.parametrize(
    ("listed", "chosen", "taken_away"),
    [
        (BESIDE, "old", "arn:2"),
        (BESIDE, "bad", "arn:2"),
        (BESIDE, "own", ""),
        (BESIDE, "held", ""),
        (BESIDE, "new", ""),
        ({**LISTED, "live": "new-2", "configs": [{"name": "new-2", "model_package": "arn:1"}]}, "old", "arn:1"),
        ({**LISTED, "configs": [{"name": each, "model_package": "arn:1"} for each in ("new", "old")]}, "old", ""),
    ],
)
def test_a_candidate_that_is_taken_away_is_rejected(listed: dict[str, Any], chosen: str, taken_away: str) -> None:
    """But not one that is given the endpoint, and no version that goes on under another configuration."""
    assert load("sagemaker_restore").version_taken_away(listed, chosen) == taken_away


@pytest.mark.parametrize(
    ("replaced", "taken_away"), [("new", ""), ("gone", ""), ("other", ""), ("old", "arn:2")], ids=str
)
def test_a_model_that_a_candidate_is_put_beside_again_is_not_rejected(replaced: str, taken_away: str) -> None:
    """The chosen configuration holds both; where nobody knows beside what the candidate stands, nothing is rejected."""
    both = {"name": "both", "candidate_for": "own", "candidate_package": "arn:3", "model_package": ""}
    others = [{"candidate_for": "", **each} for each in LISTED["configs"]]
    other = {"name": "other", "candidate_for": "own-2", "candidate_package": "arn:4", "model_package": ""}
    listed = {**LISTED, "configs": [{**both, "replaced": replaced}, other, *others]}
    assert load("sagemaker_restore").version_taken_away(listed, "both") == taken_away


def test_what_is_chosen_by_name_is_listed_whatever_its_age() -> None:
    """Else the registry would not know which version is live again."""
    dag = load("sagemaker_restore").dag
    task, environment = dag.get_task("list_configs"), dag.get_template_env()
    for given, wanted in (("iris-1", "iris-1"), (None, "")):
        names = {"params": {"endpoint_config_name": given}}
        assert task.render_template(task.endpoint_config_name, names, environment) == wanted


def rendered(task: Any, names: dict[str, Any]) -> str:
    """Render the version that a task is about, with the macros of its DAG."""
    template = task.dag.get_template_env().from_string(task.model_package)
    return str(template.render(**names, **task.dag.user_defined_macros))


def test_a_restoration_without_a_way_back_says_so() -> None:
    """After a first deployment there is none, and the form has not named one."""
    check = load("sagemaker_restore").check_way_back
    first = {"endpoint_name": "iris", "live": "iris-1", "before_live": None}
    ti = SimpleNamespace(xcom_pull=lambda **_: first)
    with pytest.raises(AirflowFailException, match=r"iris has iris-1, and nothing to go back to is known"):
        check({"params": {"restore": True, "endpoint_config_name": None}, "ti": ti})
    check({"params": {"restore": True, "endpoint_config_name": "iris-0"}, "ti": ti})
    first["before_live"] = "iris-0"
    check({"params": {"restore": True, "endpoint_config_name": None}, "ti": ti})
    with pytest.raises(AirflowSkipException, match="restore is off"):
        check({"params": {"restore": False, "endpoint_config_name": None}, "ti": ti})


def test_the_registry_is_left_alone_when_told_so() -> None:
    """And where the endpoint is."""
    module = load("sagemaker_restore")
    for params in ({"restore": True, "update_registry": False}, {"restore": False, "update_registry": True}):
        with pytest.raises(AirflowSkipException, match="is off"):
            module.skip_unless_judging({"params": params})
    module.skip_unless_judging({"params": {"restore": True, "update_registry": True}})
