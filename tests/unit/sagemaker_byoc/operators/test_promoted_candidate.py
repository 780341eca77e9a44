"""Tasks that are cleared after the candidate of their run was promoted, seen from the requests that reach AWS."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from sagemaker_byoc.operators.restore import RestoreEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from sagemaker_byoc.triggers.endpoint import EndpointTrigger
from tests.support.fake_aws import AwsSays
from tests.support.fake_candidate import DEPLOYED, FakeCandidate
from tests.support.task_run import TaskRun, event_of

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws

LIVE = {"endpoint_name": "iris", "endpoint_config_name": "final"}
SETTINGS: dict[str, Any] = {"aws_conn_id": None, "poll_interval_seconds": 0}


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeCandidate:
    """The endpoint ``iris``, where the candidate is all that is left, and answers rightly."""
    endpoint = FakeCandidate(aws)
    endpoint.configs["both"] = [{"VariantName": "AllTraffic"}, {"VariantName": "AllTraffic-candidate"}]
    endpoint.configs["final"] = [{"VariantName": "AllTraffic", "ModelName": "new-m"}]
    endpoint.serves("final")
    answers(aws, "setosa")
    aws.on("ListEndpoints", AwsSays("AccessDeniedException", "no lists"))
    return endpoint


def answers(aws: FakeAws, label: str) -> None:
    """Let the endpoint give one answer to everything."""

    def invoke(**_: Any) -> dict[str, Any]:
        body = io.BytesIO(json.dumps({"predictions": [{"label": label}]}).encode())
        return {"Body": body, "ContentType": "application/json", "InvokedProductionVariant": "AllTraffic"}

    aws.on("InvokeEndpoint", invoke)


def sensor(**changes: Any) -> EndpointSensor:
    """Make the task that waits for the endpoint."""
    return EndpointSensor(task_id="wait", **{"endpoint": DEPLOYED, "retries": 2, **SETTINGS, **changes})


def smoke_test(**changes: Any) -> InvokeSmokeTestOperator:
    """Make the task that tests the endpoint."""
    settings = {"deployment": DEPLOYED, "records": [{"length": 1, "species": "setosa"}], "label_column": "species"}
    return InvokeSmokeTestOperator(task_id="smoke_test", **{**settings, **SETTINGS, **changes})


def test_a_way_back_that_a_worker_left_keeps_its_reason(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """It is on the configuration that was tested; the one of before the promotion has passed."""
    verdicts = {"final": "failed: accuracy 0.5", "both": "passed"}

    def list_tags(**request: Any) -> dict[str, Any]:
        verdict = verdicts.get(request["ResourceArn"].rpartition("/")[2], "")
        return {"Tags": [{"Key": "smoke_test", "Value": verdict}]}

    aws.on("ListTags", list_tags)
    endpoint.serves("old")
    with pytest.raises(AirflowFailException, match=r"(?s)earlier try of this test ended so: failed: accuracy 0.5"):
        TaskRun(try_number=2).of(smoke_test())


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_wait_finds_its_deployment_live(endpoint: FakeCandidate, deferrable: bool) -> None:
    """The result says which of the two configurations it is."""
    assert TaskRun().of(sensor(deferrable=deferrable)) == LIVE


def test_the_wait_sees_the_promotion_through(endpoint: FakeCandidate) -> None:
    """From the triggerer, which gets names alone."""
    endpoint.serves("both")
    endpoint.update_looks = 3
    endpoint._UpdateEndpoint(EndpointConfigName="final")
    run = TaskRun()
    assert run.of(sensor()) == LIVE
    [trigger] = run.deferrals
    assert trigger.serialize()[1]["endpoint"] == "iris"


def test_a_wait_without_a_worker_knows_of_the_candidate(endpoint: FakeCandidate) -> None:
    """There the whole result of the deployment arrives as JSON."""
    trigger = EndpointTrigger(endpoint=json.dumps(DEPLOYED), **SETTINGS)
    assert event_of(trigger)["look"]["live_config"] == "final"


def test_a_wait_for_a_named_configuration_takes_no_other(endpoint: FakeCandidate) -> None:
    """Who names one means it."""
    with pytest.raises(AirflowFailException, match="serves final instead of both"):
        TaskRun().of(sensor(endpoint_config_name="both"))


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, None),
        ({"each_variant": True}, "AllTraffic"),
        ({"target_variant": "AllTraffic-candidate"}, "AllTraffic"),
        ({"target_variants": ["AllTraffic"]}, "AllTraffic"),
        ({"endpoint_config_name": "final"}, None),
    ],
)
def test_the_test_asks_what_the_candidate_has_become(
    aws: FakeAws, endpoint: FakeCandidate, changes: dict[str, Any], asked: str | None
) -> None:
    """By the names that its variants have now; the verdict is noted there."""
    assert TaskRun().of(smoke_test(**changes))["passed"]
    assert {request.get("TargetVariant") for request in aws.asked("InvokeEndpoint")} == {asked}
    assert endpoint.tagged == ["final"]


def test_a_variant_that_it_never_had_is_refused(endpoint: FakeCandidate) -> None:
    """Before anything is asked."""
    with pytest.raises(AirflowFailException, match="target_variants: got 'Other'"):
        TaskRun().of(smoke_test(target_variant="Other", rollback=False))


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_promoted_model_that_fails_goes_back(aws: FakeAws, endpoint: FakeCandidate, deferrable: bool) -> None:
    """To what was live before the candidate came; a restoration behind the test would do the same."""
    answers(aws, "virginica")
    with pytest.raises(AirflowFailException, match=r"(?s)accuracy 0.000.*Live now: old \(InService\)"):
        TaskRun().of(smoke_test(deferrable=deferrable))
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old"}]
    assert endpoint.tagged == ["final"]


def test_a_promotion_under_way_is_waited_for(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """It says nothing against the model."""
    endpoint.serves("both")
    endpoint.update_looks = 3
    endpoint._UpdateEndpoint(EndpointConfigName="final")
    assert TaskRun().of(smoke_test())["passed"]


def test_a_test_of_a_named_configuration_tests_no_other(endpoint: FakeCandidate) -> None:
    """Who names one means it."""
    with pytest.raises(AirflowFailException, match="final instead of both"):
        TaskRun().of(smoke_test(endpoint_config_name="both"))


def test_a_promoted_model_can_be_taken_away(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """By the task behind a test that could not; another run's model is left alone."""
    operator = RestoreEndpointOperator(task_id="restore", deployment=DEPLOYED, deferrable=False, **SETTINGS)
    assert TaskRun().of(operator)["endpoint_config_name"] == "old"
    endpoint.serves("third")
    with pytest.raises(AirflowSkipException, match="third, of a later deployment"):
        TaskRun().of(operator)


def test_the_way_back_of_a_promoted_model_survives_its_wait(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The task that is resumed knows both configurations, whichever it finds."""
    answers(aws, "virginica")
    with pytest.raises(TaskDeferred) as deferral:
        smoke_test().execute(TaskRun().context)
    endpoint._pending = None
    with pytest.raises(AirflowFailException, match=r"(?s)accuracy 0.000.*did not take old back"):
        smoke_test().execute_complete(TaskRun().context, {"look": None}, **(deferral.value.kwargs or {}))
