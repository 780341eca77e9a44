"""A candidate in the real Airflow: beside the live model, then step by step in its place."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_stack.stack import DAG_ID
from tests.e2e.probe import Run, aws

if TYPE_CHECKING:
    from local_stack.stack import Stack


def test_a_candidate_gets_the_endpoint_step_by_step(stack: Stack) -> None:
    """It alone is asked by the smoke test, the steps are taken while no worker waits, and the task's log tells them."""
    first = Run.start(stack, DAG_ID, partition="2026-01-03")
    assert first.wait() == "success"
    assert first.xcom("shift_traffic")["operation"] == "none"
    run = Run.start(
        stack,
        DAG_ID,
        partition="2026-01-03",
        epochs=9,
        minimum_gain=-1,
        minimum_accuracy=0,
        strategy="candidate",
        traffic_steps=[50, 100],
        bake_seconds=1,
    )
    run.wait_for_task("shift_traffic", "deferred")
    assert run.wait() == "success"
    assert run.xcom("smoke_test")["variant"] == "AllTraffic-candidate"
    final = run.xcom("create_endpoint")["candidate"]["final_config"]["EndpointConfigName"]
    name = stack.account.settings["endpoint_name"]
    shifted = {"endpoint_name": name, "endpoint_config_name": final, "operation": "shift"}
    assert run.xcom("shift_traffic") == shifted
    log = run.log("shift_traffic")
    assert "AllTraffic-candidate gets 50% of the traffic." in log
    assert "AllTraffic-candidate gets 100% of the traffic." in log
    live = aws(stack, "sagemaker").describe_endpoint(EndpointName=name)
    assert live["EndpointConfigName"] == final
    assert [variant["VariantName"] for variant in live["ProductionVariants"]] == ["AllTraffic"]
