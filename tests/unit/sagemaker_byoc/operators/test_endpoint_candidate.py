"""Putting a model beside the live one, seen from the requests that reach AWS."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from tests.support.fake_candidate import FakeCandidate
from tests.support.fake_registry import FakeRegistry
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws

VARIANT = {"InstanceType": "ml.m5.large", "InitialInstanceCount": "1"}
CHANGES = ("CreateEndpointConfig", "CreateEndpoint", "UpdateEndpoint")


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeCandidate:
    """The endpoint ``iris``, which serves ``old``."""
    aws.on("CreateEndpoint", {"EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/iris"})
    return FakeCandidate(aws)


def create(run: TaskRun | None = None, **changes: Any) -> dict[str, Any]:
    """Run the operator as a DAG would."""
    settings: dict[str, Any] = {
        "endpoint_name": "iris",
        "model_name": "new-m",
        "config": {"ProductionVariants": [VARIANT]},
        "strategy": "candidate",
        "exclusive": False,
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
        **changes,
    }
    result: dict[str, Any] = (run or TaskRun()).of(CreateEndpointOperator(task_id="create_endpoint", **settings))
    return result


def changes_of(aws: FakeAws) -> list[str]:
    """Return the operations that changed something."""
    return [name for name, _ in aws.calls if name in CHANGES]


def test_the_new_variant_stands_beside_the_live_one(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Without traffic; what it shall be in the end is in the result, and the way back as ever."""
    endpoint.weights = {"AllTraffic": 0.5}
    result = create()
    [request] = aws.asked("CreateEndpointConfig")
    assert request["ProductionVariants"] == [
        {"VariantName": "AllTraffic", "ModelName": "old-m", "InitialVariantWeight": 0.5},
        {
            "VariantName": "AllTraffic-candidate",
            "ModelName": "new-m",
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 0.0,
        },
    ]
    assert (result["operation"], result["previous_endpoint_config_name"]) == ("update", "old")
    candidate = result["candidate"]
    assert candidate["variants"] == {"AllTraffic": "AllTraffic-candidate"}
    assert candidate["live"] == {"AllTraffic": 0.5}
    assert candidate["final_config"]["EndpointConfigName"] != result["endpoint_config_name"]
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags["candidate_for"] == candidate["final_config"]["EndpointConfigName"]
    assert tags["replaced_config"] == "old"
    assert "endpoint" not in tags, "no configuration to go back to"
    assert len(json.dumps(candidate)) < 1500


def test_the_version_of_a_candidate_is_not_that_of_what_is_live(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Who looks for the champion reads one tag, and who takes the candidate away the other."""
    version = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/iris/2"
    challenger = {"training_job_name": "j", "model_package_group": "iris", "model_package_arn": version}
    challenge = {"passed": True, "reasons": [], "champion": None, "challenger": challenger, "comparison": []}
    FakeRegistry(aws)
    result = create(challenge=challenge)
    [request] = aws.asked("CreateEndpointConfig")
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert (tags.get("candidate_package"), tags.get("model_package")) == (version, None)
    final = {tag["Key"]: tag["Value"] for tag in result["candidate"]["final_config"]["Tags"]}
    assert (final.get("candidate_package"), final.get("model_package")) == (None, version)


@pytest.mark.parametrize("pending", [True, False])
def test_a_retry_adopts_what_the_first_try_began(aws: FakeAws, endpoint: FakeCandidate, pending: bool) -> None:
    """Whether it is on its way or there already; also when the traffic was shifted since."""
    first = create()
    if not pending:
        endpoint.serves(first["endpoint_config_name"], {"AllTraffic": 0.5, "AllTraffic-candidate": 0.5})
        endpoint._pending = None
    again = create(TaskRun(try_number=2))
    # The table of answers has one set of tags for all.
    del first["restore_point"], again["restore_point"]
    assert again == {**first, "operation": "adopt" if pending else "none"}
    assert changes_of(aws) == ["CreateEndpointConfig", "UpdateEndpoint"]


def test_another_run_of_the_same_content_finds_it_too(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The earlier model is beside it, and stays the way back."""
    first = create()
    create()
    endpoint._settle(first["endpoint_config_name"])
    assert create(TaskRun(run_id="later"))["previous_endpoint_config_name"] == "old"


def test_without_an_endpoint_the_deployment_is_direct(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """There is nothing to stand beside."""
    endpoint.serves(None)
    result = create()
    assert result["operation"] == "create"
    assert "candidate" not in result


def test_what_is_live_already_is_not_put_beside_itself(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The same content, deployed before."""
    final = create()["candidate"]["final_config"]["EndpointConfigName"]
    endpoint._pending = None
    endpoint.serves(final)
    aws.calls.clear()
    result = create()
    assert (result["endpoint_config_name"], result["operation"]) == (final, "none")
    assert "candidate" not in result
    assert changes_of(aws) == []


def test_what_stands_alone_is_refused_before_anything_is_made(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The message says what to do instead."""
    endpoint.configs["old"][0]["ServerlessConfig"] = {"MemorySizeInMB": 1024, "MaxConcurrency": 1}
    with pytest.raises(AirflowFailException, match=r"strategy: got 'candidate'.*'direct' here: .*serverless"):
        create()
    assert changes_of(aws) == []


def test_a_live_configuration_that_is_gone_allows_no_candidate(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """What it consists of is not known."""
    del endpoint.configs["old"]
    with pytest.raises(AirflowFailException, match=r"old, which is live and was deleted.*strategy='direct'"):
        create()
    assert changes_of(aws) == []


def test_an_unknown_strategy_is_refused(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Before any call changes anything."""
    with pytest.raises(AirflowFailException, match="strategy: got 'canary'"):
        create(strategy="canary")
    assert changes_of(aws) == []


def test_retained_properties_are_for_the_last_update(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The live variants are written down as they are, so the first one has nothing to retain."""
    result = create(update_config={"RetainAllVariantProperties": True, "RetainDeploymentConfig": True})
    [update] = aws.asked("UpdateEndpoint")
    names = {"EndpointName": "iris", "EndpointConfigName": result["endpoint_config_name"]}
    assert update == {**names, "RetainDeploymentConfig": True}
    assert result["candidate"]["update"]["RetainAllVariantProperties"] is True
    without_weights = [{"VariantPropertyType": "DesiredWeight"}]
    retain = {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": without_weights}
    assert result["retain"] == retain, "on the way back the weights may be those of a shift"


@pytest.mark.parametrize(
    "asked", [{}, {"each_variant": True}, {"target_variant": "AllTraffic"}, {"target_variants": ["AllTraffic"]}]
)
def test_the_smoke_test_asks_the_candidate_alone(aws: FakeAws, endpoint: FakeCandidate, asked: dict[str, Any]) -> None:
    """And what is put back is asked without a variant's name, since it has other ones."""
    deployed = create()
    create()
    endpoint._settle(deployed["endpoint_config_name"])

    def invoke(**request: Any) -> dict[str, Any]:
        body = io.BytesIO(json.dumps({"predictions": [{"label": "wrong"}]}).encode())
        variant = request.get("TargetVariant", "AllTraffic")
        return {"Body": body, "ContentType": "application/json", "InvokedProductionVariant": variant}

    aws.on("InvokeEndpoint", invoke)
    test = InvokeSmokeTestOperator(
        task_id="smoke_test",
        deployment=deployed,
        records=[{"length": 1, "species": "setosa"}],
        label_column="species",
        aws_conn_id=None,
        poll_interval_seconds=0,
        **asked,
    )
    with pytest.raises(AirflowFailException, match=r"(?s)Live now: old"):
        TaskRun().of(test)
    targets = [request.get("TargetVariant") for request in aws.asked("InvokeEndpoint")]
    assert targets == ["AllTraffic-candidate"] * 2 + [None] * 2
