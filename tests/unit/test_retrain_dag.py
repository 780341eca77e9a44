"""Which tasks of the retraining DAG run, and which are skipped for what reason."""

from __future__ import annotations

import importlib.util
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from local_stack.home import CHECKOUT


@pytest.fixture(scope="module")
def retrain() -> Any:
    """The DAG's file, imported as a module."""
    spec = importlib.util.spec_from_file_location("sagemaker_retrain", CHECKOUT / "dags" / "sagemaker_retrain.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def context(results: dict[str, Any], **params: Any) -> Any:
    """Return the context of a task behind others that returned these results."""
    ti = SimpleNamespace(xcom_pull=lambda task_ids: results.get(task_ids))
    return {"ti": ti, "params": {"deploy": True, "require_approval": True, **params}}


REGISTERED = {"model_package_arn": "arn"}
NOTHING: dict[str, Any] = {}
WON = {"register_model": REGISTERED, "evaluate_challenger": {"passed": True}}
LOST = {"register_model": REGISTERED, "evaluate_challenger": {"passed": False}}
UNDECIDED = {"register_model": REGISTERED}


@pytest.mark.parametrize("results", [NOTHING, WON])
def test_without_a_registry_or_with_a_winner_it_deploys(retrain: Any, results: dict[str, Any]) -> None:
    """A run that registers nothing behaves as if there were no gate."""
    retrain.skip_unless_deploying(context(results))
    retrain.skip_unless_asking(context(results))


@pytest.mark.parametrize("results", [LOST, UNDECIDED])
def test_a_registered_model_that_did_not_win_is_not_deployed(retrain: Any, results: dict[str, Any]) -> None:
    """Neither is one without a verdict, for example because a person skipped the gate; nobody is asked about it."""
    for skip in (retrain.skip_unless_deploying, retrain.skip_unless_asking):
        with pytest.raises(AirflowSkipException, match="did not win"):
            skip(context(results))


def test_a_run_that_only_trains_asks_nobody(retrain: Any) -> None:
    """The reason names the param."""
    for skip in (retrain.skip_unless_deploying, retrain.skip_unless_asking):
        with pytest.raises(AirflowSkipException, match="the param deploy is off"):
            skip(context(WON, deploy=False))


def test_nobody_is_asked_unless_the_run_was_asked_to(retrain: Any) -> None:
    """A daily run has nobody who waits for the question."""
    with pytest.raises(AirflowSkipException, match="require_approval is off"):
        retrain.skip_unless_asking(context(WON, require_approval=False))
    assert retrain.dag.params["require_approval"] is False


def test_the_deployment_knows_what_the_gate_compared(retrain: Any) -> None:
    """By the time of its turn another model may be champion."""
    gate, deployment = retrain.dag.get_task("evaluate_challenger"), retrain.dag.get_task("create_endpoint")
    assert deployment.challenge == gate.output


def test_skipped_registry_tasks_do_not_skip_the_deployment(retrain: Any) -> None:
    """Question and deployment follow a gate that was skipped, and the build a check that was.

    What proves and approves follows a deployment only.
    """
    rules = {task.task_id: task.trigger_rule.value for task in retrain.dag.tasks}
    tolerant = {name for name, rule in rules.items() if rule == "none_failed"}
    assert tolerant == {"build_push_image", "ask_for_approval", "create_endpoint"}
    approve = retrain.dag.get_task("approve_model")
    # Behind register_model too, it would be skipped before a smoke test fails, and the run without a registry succeed.
    assert approve.upstream_task_ids == {"shift_traffic"}
    assert rules["approve_model"] == "all_success"


def test_the_smoke_test_is_checked_before_anything_is_paid(retrain: Any) -> None:
    """With the same records and limits; a run that only trains is not held up by them."""
    check, test = retrain.dag.get_task("check_smoke_test"), retrain.dag.get_task("smoke_test")
    assert not check.upstream_task_ids
    assert check.only_check
    for name in ("records", "label_column", "minimum_accuracy", "maximum_latency_ms"):
        assert getattr(check, name) == getattr(test, name)
    build = retrain.dag.get_task("build_push_image")
    assert (build.upstream_task_ids, build.trigger_rule) == ({"check_smoke_test", "check_challenge"}, "none_failed")
    with pytest.raises(AirflowSkipException, match="deploy is off"):
        check._pre_execute_hook(context({}, deploy=False))
    # A comparison that was lost before the run was cleared does not matter here.
    lost = {"register_model": "arn", "evaluate_challenger": {"passed": False}}
    check._pre_execute_hook(context(lost, traffic_steps=[10, 100]))
    with pytest.raises(AirflowFailException, match="ascend to 100"):
        check._pre_execute_hook(context({}, traffic_steps=[10, 50]))


def test_the_comparison_is_checked_before_anything_is_paid(retrain: Any) -> None:
    """With everything that the gate will be given, and what a run trains is not known yet."""
    check, gate = retrain.dag.get_task("check_challenge"), retrain.dag.get_task("evaluate_challenger")
    assert check.only_check
    assert not check.upstream_task_ids
    fields = ("model_package_group", "criteria", "held_out_criteria", "records", "label_column")
    for name in (*fields, "transform_uri", "transform_config"):
        assert getattr(check, name) == getattr(gate, name) is not None
