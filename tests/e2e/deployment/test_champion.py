"""Champion and challenger in the retraining DAG, with the real Airflow: who is deployed, asked about and approved."""

from __future__ import annotations

import json
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from local_stack.seed import VARIABLE
from local_stack.stack import DAG_ID
from tests.e2e.probe import Run, aws, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_stack.stack import Stack

ANY_MODEL = {"partition": "2026-01-03", "epochs": 5, "minimum_accuracy": 0, "deploy_older": True}
READ_FOR = timedelta(seconds=10)
DEPLOYMENT = ("create_endpoint", "wait_for_endpoint", "smoke_test", "shift_traffic", "approve_model")


def start(stack: Stack, **params: Any) -> Run:
    """Start a run whose model nothing but the gate or a person keeps from the endpoint."""
    return Run.start(stack, DAG_ID, **{**ANY_MODEL, **params})


def states(run: Run, *task_ids: str) -> set[str | None]:
    """Return the states of these tasks."""
    return {run.state(task_id) for task_id in task_ids}


def approval(stack: Stack, run: Run) -> str:
    """Return the approval status of the version that a run registered."""
    arn = run.xcom("register_model")["model_package_arn"]
    return str(aws(stack, "sagemaker").describe_model_package(ModelPackageName=arn)["ModelApprovalStatus"])


def answer(run: Run, option: str) -> None:
    """Answer the question as a person does in the UI, who reads it first.

    Airflow takes a question for lost that is answered before its scheduler has heard that the worker is done, which
    takes it some seconds, and asks again.
    """
    run.wait_for_task("ask_for_approval", "awaiting_input")
    question = f"{run.path}/taskInstances/ask_for_approval/-1/hitlDetails"
    asked_at = datetime.fromisoformat(run.stack.airflow.call("GET", question)["created_at"].replace("Z", "+00:00"))
    until(lambda: datetime.now(timezone.utc) - asked_at > READ_FOR, "the question is read")
    run.act("PATCH", question, {"chosen_options": [option], "params_input": {}})


@contextmanager
def settings(stack: Stack, **changes: str | None) -> Iterator[None]:
    """Change the DAG's settings for a while; None takes one out."""
    path = f"/variables/{VARIABLE}"
    before = stack.airflow.call("GET", path)["value"]
    changed = {name: value for name, value in {**json.loads(before), **changes}.items() if value is not None}
    stack.airflow.call("PATCH", path, json={"key": VARIABLE, "value": json.dumps(changed)})
    try:
        yield
    finally:
        stack.airflow.call("PATCH", path, json={"key": VARIABLE, "value": before})


@pytest.fixture
def without_group(stack: Stack) -> Iterator[None]:
    """Take the group out of the settings for a while."""
    with settings(stack, model_package_group=None):
        yield


@pytest.fixture
def held_out(stack: Stack) -> Iterator[None]:
    """Put a held-out set into the settings for a while."""
    with settings(stack, held_out_records="s3://sagemaker-retrain-local/iris/test/test.csv"):
        yield


def test_what_a_person_approved_and_the_endpoint_proved_is_the_champion(stack: Stack) -> None:
    """The run waits for the answer with its comparison, deploys, and approves its version."""
    run = start(stack, minimum_gain=-1, require_approval=True)
    run.wait_for_task("ask_for_approval", "awaiting_input")
    assert approval(stack, run) == "PendingManualApproval"
    question = stack.airflow.call("GET", f"{run.path}/taskInstances/ask_for_approval/-1/hitlDetails")
    assert question["subject"] == "Deploy the model of 2026-01-03 to iris?"
    assert "validation:accuracy" in question["body"].partition("```")[2]
    answer(run, "Approve")
    assert run.wait() == "success"
    assert states(run, *DEPLOYMENT) == {"success"}
    assert approval(stack, run) == "Approved"


def test_a_person_who_rejects_keeps_the_model_from_the_endpoint(stack: Stack) -> None:
    """The run succeeds without a deployment, and its version stays unapproved."""
    run = start(stack, minimum_gain=-1, require_approval=True)
    answer(run, "Reject")
    assert run.wait() == "success"
    assert states(run, *DEPLOYMENT) == {"skipped"}
    assert approval(stack, run) == "PendingManualApproval"


def test_a_model_that_does_not_win_is_not_deployed(stack: Stack) -> None:
    """Gate, question and deployment are skipped, each says why, and the version is rejected."""
    champion = start(stack, minimum_gain=-1)
    assert champion.wait() == "success"
    run = start(stack, minimum_gain=1, require_approval=True)
    assert run.wait() == "success"
    assert states(run, "evaluate_challenger", "ask_for_approval", *DEPLOYMENT) == {"skipped"}
    assert (
        run.xcom("evaluate_challenger")["champion"]["model_package_arn"]
        == (champion.xcom("register_model")["model_package_arn"])
    )
    assert "NOT GOOD ENOUGH" in run.log("evaluate_challenger")
    assert "the model did not win" in run.log("create_endpoint")
    assert approval(stack, run) == "Rejected"


def test_the_registry_follows_what_is_live(stack: Stack) -> None:
    """A model that fails its test is rejected; so is one that is taken away by hand, and the one before is champion."""
    first = start(stack, minimum_gain=-1)
    assert first.wait() == "success"
    second = start(stack, minimum_gain=-1, epochs=6)
    assert second.wait() == "success"
    failed = start(stack, minimum_gain=-1, epochs=7, maximum_latency_ms=0.001)
    assert failed.wait() == "failed"
    assert states(failed, "reject_model") == {"success"}
    assert approval(stack, failed) == "Rejected"
    back = Run.start(stack, "sagemaker_restore", endpoint_config_name=config_of(first))
    assert back.wait() == "success"
    assert [approval(stack, run) for run in (first, second)] == ["Approved", "Rejected"]
    last = start(stack, minimum_gain=-1, epochs=8)
    assert last.wait() == "success"
    champion = last.xcom("evaluate_challenger")["champion"]
    assert champion["model_package_arn"] == first.xcom("register_model")["model_package_arn"]


def test_a_candidate_that_a_person_takes_away_is_rejected(stack: Stack) -> None:
    """By the form alone, in the middle of the shift; the model beside it serves on, and its version stays approved."""
    live = start(stack, minimum_gain=-1)
    assert live.wait() == "success"
    candidate = start(
        stack, minimum_gain=-1, epochs=10, strategy="candidate", traffic_steps=[50, 100], bake_seconds=600
    )
    candidate.wait_for_task("shift_traffic", "deferred")
    back = Run.start(stack, "sagemaker_restore")
    assert back.wait() == "success"
    assert back.xcom("restore_endpoint")["endpoint_config_name"] == config_of(live)
    assert states(back, "reject_model", "approve_model") == {"success"}
    assert [approval(stack, run) for run in (live, candidate)] == ["Approved", "Rejected"]
    assert candidate.wait() == "failed"
    assert "there is no candidate to shift to" in candidate.log("shift_traffic")


@pytest.mark.usefixtures("held_out")
def test_champion_and_challenger_are_asked_the_same_held_out_set(stack: Stack) -> None:
    """Each model once: what the champion answered as a challenger is kept with its version."""
    champion = start(stack, minimum_gain=-1, epochs=12)
    assert champion.wait() == "success"
    assert champion.xcom("check_challenge") == {"records": 30}
    kept = aws(stack, "sagemaker").describe_model_package(
        ModelPackageName=champion.xcom("register_model")["model_package_arn"]
    )["CustomerMetadataProperties"]
    run = start(stack, minimum_gain=1, epochs=13)
    assert run.wait() == "success"
    assert states(run, "evaluate_challenger", "create_endpoint") == {"skipped"}
    verdict = run.xcom("evaluate_challenger")
    [compared] = [one for one in verdict["comparison"] if one["metric"] == "held_out:accuracy"]
    assert repr(compared["champion"]) == kept["metric:held_out:accuracy"]
    assert verdict["held_out"] == {"digest": kept["held_out_digest"], "records": 30}
    assert run.log("evaluate_challenger").count(", which asks ") == 1
    assert approval(stack, run) == "Rejected"


def config_of(run: Run) -> str:
    """Return the configuration that a run deployed."""
    return str(run.xcom("create_endpoint")["endpoint_config_name"])


@pytest.mark.usefixtures("without_group")
def test_without_a_group_a_failed_test_still_fails_the_run(stack: Stack) -> None:
    """The registry's tasks at its end are skipped by themselves, and hide nothing."""
    run = start(stack, epochs=9, maximum_latency_ms=0.001)
    assert run.wait() == "failed"
    assert states(run, "approve_model") == {"upstream_failed"}
    assert states(run, "reject_model") == {"skipped"}


@pytest.mark.usefixtures("without_group")
def test_without_a_group_every_model_is_deployed(stack: Stack) -> None:
    """The registry's tasks are skipped, and the deployment is not."""
    run = start(stack)
    assert run.wait() == "success"
    registry = ("register_model", "evaluate_challenger", "ask_for_approval", "approve_model")
    assert states(run, *registry) == {"skipped"}
    assert states(run, "create_endpoint", "wait_for_endpoint", "smoke_test") == {"success"}
    assert "there is no model_package_group" in run.log("register_model")
