"""The way back in the real Airflow: after a smoke test that fails, and by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from local_stack.stack import DAG_ID
from tests.e2e.probe import Run, aws

if TYPE_CHECKING:
    from local_stack.stack import Stack


def start(stack: Stack, **params: Any) -> Run:
    """Start a run whose model need not win against an earlier one."""
    return Run.start(stack, DAG_ID, partition="2026-01-03", minimum_gain=-1, **params)


def live_config(stack: Stack) -> str:
    """Return the configuration that the endpoint serves."""
    name = stack.account.settings["endpoint_name"]
    return str(aws(stack, "sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"])


def answer(stack: Stack) -> bytes:
    """Ask the endpoint; its probabilities tell one model from another."""
    flower = b"sepal_length,sepal_width,petal_length,petal_width\n6,2.9,4.7,1.5"
    asked = {"Body": flower, "ContentType": "text/csv", "Accept": "application/json"}
    name = stack.account.settings["endpoint_name"]
    found = aws(stack, "sagemaker-runtime").invoke_endpoint(EndpointName=name, **asked)
    body: bytes = found["Body"].read()
    assert b"probabilities" in body
    return body


def test_a_bad_model_is_put_back_by_its_test_and_again_by_hand(stack: Stack) -> None:
    """The run fails without a retry and says what is live; a person chooses by name, or takes the one before."""
    good = start(stack)
    assert good.wait() == "success"
    assert good.state("restore_endpoint") == "skipped"
    served, answered = live_config(stack), answer(stack)
    bad = start(stack, epochs=7, maximum_latency_ms=0.001)
    assert bad.wait() == "failed"
    assert (bad.state("smoke_test"), bad.state("restore_endpoint")) == ("failed", "skipped")
    assert bad.task("smoke_test")["try_number"] == 1
    log = bad.log("smoke_test")
    assert "p95 latency" in log
    assert f"Live now: {served} (InService). It was live before this deployment. It answers: " in log
    assert not bad.xcom("smoke_test")["passed"]
    assert (live_config(stack), answer(stack)) == (served, answered)
    chosen = bad.xcom("create_endpoint")["endpoint_config_name"]
    by_name = Run.start(stack, "sagemaker_restore", endpoint_config_name=chosen)
    assert by_name.wait() == "success"
    assert live_config(stack) == chosen
    assert answer(stack) != answered
    assert f"live  {chosen}" not in by_name.log("list_configs")
    back = Run.start(stack, "sagemaker_restore")
    assert back.wait() == "success"
    assert f"live  {chosen}" in back.log("list_configs")
    assert (live_config(stack), answer(stack)) == (served, answered)


@pytest.mark.way_back_row("the smoke test cannot put it back on any try, or a person marks the wait as failed")
def test_a_deployment_whose_wait_failed_is_taken_back(stack: Stack) -> None:
    """A person ends the wait while the new model comes up; the task behind it waits for that, and goes back."""
    good = start(stack, epochs=20)
    assert good.wait() == "success"
    served, answered = live_config(stack), answer(stack)
    ended = start(stack, epochs=8)
    ended.wait_for_task("wait_for_endpoint", "running", "deferred")
    ended.mark("wait_for_endpoint", "failed")
    assert ended.wait() == "failed"
    assert (ended.state("smoke_test"), ended.state("restore_endpoint")) == ("upstream_failed", "success")
    assert ended.xcom("restore_endpoint")["operation"] == "update"
    assert (live_config(stack), answer(stack)) == (served, answered)


def test_a_failure_before_the_deployment_takes_nothing_back(stack: Stack) -> None:
    """The task behind the wait runs by its rule, finds that no deployment failed, and skips itself."""
    run = Run.start(stack, DAG_ID, partition="1999-01-01")
    assert run.wait() == "failed"
    assert (run.state("create_endpoint"), run.state("restore_endpoint")) == ("upstream_failed", "skipped")
    assert run.task("restore_endpoint")["pid"] is not None
