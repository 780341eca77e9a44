"""A deployment whose gate was long ago: who is champion by now, seen from the requests that reach AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sagemaker_byoc.operators.challenge import EvaluateChallengerOperator
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.fake_registry import GROUP, FakeRegistry
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws

JOB = {"training_job_name": "iris-2", "metrics": {"accuracy": 0.92}}


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeEndpoint:
    """The endpoint ``iris``, which serves ``old``."""
    endpoint = FakeEndpoint(aws)
    endpoint.exists("InService", "old")
    return endpoint


@pytest.fixture
def registry(aws: FakeAws, endpoint: FakeEndpoint) -> FakeRegistry:
    """A registry whose champion has an accuracy of 0.9."""
    registry = FakeRegistry(aws)
    registry.holds(training_job="iris-0", metric_accuracy="0.9")
    return registry


@pytest.fixture
def own(registry: FakeRegistry) -> str:
    """The challenger's own version."""
    return registry.holds("PendingManualApproval", training_job="iris-2", metric_accuracy="0.92")


@pytest.fixture
def won(own: str) -> dict[str, Any]:
    """What the gate said, before anything changed."""
    gate = EvaluateChallengerOperator(
        task_id="evaluate",
        training_job=JOB,
        model_package_group=GROUP,
        criteria={"accuracy": "maximize"},
        model_package=own,
        aws_conn_id=None,
    )
    return dict(TaskRun().of(gate))


def deploy(challenge: Any, run: TaskRun | None = None) -> Any:
    """Run the deployment."""
    operator = CreateEndpointOperator(
        task_id="create_endpoint",
        endpoint_name="iris",
        model_name="model-1",
        config={"ProductionVariants": [{"InstanceType": "ml.m5.large", "InitialInstanceCount": 1}]},
        challenge=challenge,
        exclusive=False,
        aws_conn_id=None,
        poll_interval_seconds=0,
    )
    return (run or TaskRun()).of(operator)


def is_live(aws: FakeAws, package: str, smoke_test: str) -> None:
    """Let the live configuration have been deployed from a version."""
    tags = {"model_package": package, "smoke_test": smoke_test}
    aws.on("ListTags", {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]})


@pytest.mark.parametrize("form", [lambda given: given, json.dumps], ids=["object", "text"])
def test_the_champion_of_the_gate_is_not_fought_again(aws: FakeAws, won: dict[str, Any], own: str, form: Any) -> None:
    """The deployment goes on, and its configuration names the version."""
    assert deploy(form(won))["operation"] == "update"
    [config] = aws.asked("CreateEndpointConfig")
    assert {"Key": "model_package", "Value": own} in config["Tags"]


def test_a_model_that_loses_against_a_new_champion_is_not_deployed(
    aws: FakeAws, registry: FakeRegistry, won: dict[str, Any], own: str
) -> None:
    """Another run's better model was approved while this one waited; the endpoint stays as it is."""
    registry.holds(training_job="iris-1", metric_accuracy="0.97")
    told = "version 3 of iris is champion by now: accuracy 0.92 is not as good as the champion's 0.97"
    with pytest.raises(AirflowSkipException, match=told):
        deploy(won)
    assert not [name for name, _ in aws.calls if name in ("UpdateEndpoint", "CreateEndpointConfig", "AddTags")]
    assert registry.packages[own]["ModelApprovalStatus"] == "Rejected"


@pytest.mark.parametrize("metric", ["0.91", "0.92"])
def test_a_model_that_wins_against_a_new_champion_too_is_deployed(
    registry: FakeRegistry, won: dict[str, Any], metric: str
) -> None:
    """By the criteria of the gate."""
    registry.holds(training_job="iris-1", metric_accuracy=metric)
    assert deploy(won)["operation"] == "update"


@pytest.mark.parametrize(
    ("smoke_test", "approval", "deployed"),
    [
        ("passed", "PendingManualApproval", False),
        ("failed: accuracy", "PendingManualApproval", True),
        ("passed", "Rejected", True),
    ],
)
def test_what_was_proven_a_moment_ago_counts_before_its_approval(
    aws: FakeAws, registry: FakeRegistry, won: dict[str, Any], smoke_test: str, approval: str, deployed: bool
) -> None:
    """The endpoint is free as soon as a smoke test has passed, and the approval comes a little later."""
    is_live(aws, registry.holds(approval, training_job="iris-1", metric_accuracy="0.97"), smoke_test)
    if deployed:
        assert deploy(won)["operation"] == "update"
    else:
        with pytest.raises(AirflowSkipException, match=r"version 3 of iris.*0.97"):
            deploy(won)


def test_a_live_version_that_was_deleted_is_no_rival(aws: FakeAws, won: dict[str, Any], own: str) -> None:
    """There is nothing to compare with."""
    is_live(aws, own.replace("/2", "/9"), "passed")
    assert deploy(won)["operation"] == "update"


def test_a_champion_that_was_rejected_is_not_mourned(registry: FakeRegistry, won: dict[str, Any]) -> None:
    """What won against it may be deployed all the same."""
    for package in registry.packages.values():
        package["ModelApprovalStatus"] = "Rejected"
    assert deploy(won)["operation"] == "update"


@pytest.fixture
def asked(won: dict[str, Any]) -> dict[str, Any]:
    """What the gate said that had a held-out set."""
    compared = {"metric": "held_out:accuracy", "goal": "maximize", "challenger": 0.8, "margin": 0.0, "limit": None}
    comparison = [*won["comparison"], {**compared, "champion": 0.7}]
    return {**won, "comparison": comparison, "held_out": {"digest": "sha256:1", "records": 4}}


@pytest.mark.parametrize(("theirs", "deployed"), [("0.7", True), ("0.9", False)])
def test_a_new_champion_that_was_asked_the_same_set_is_compared_by_it(
    registry: FakeRegistry, asked: dict[str, Any], theirs: str, deployed: bool
) -> None:
    """Its metrics are in the registry, so that no job is needed."""
    facts = {"held_out_digest": "sha256:1", "metric:held_out:accuracy": theirs}
    registry.holds(training_job="iris-1", metric_accuracy="0.9", **facts)
    if deployed:
        assert deploy(asked)["operation"] == "update"
    else:
        with pytest.raises(AirflowSkipException, match=r"held_out:accuracy 0.8 is not as good as the champion's 0.9"):
            deploy(asked)


@pytest.mark.parametrize("facts", [{}, {"held_out_digest": "sha256:2", "metric:held_out:accuracy": "0.1"}])
def test_a_new_champion_that_was_not_asked_the_same_set_is_not_passed_by(
    aws: FakeAws, registry: FakeRegistry, asked: dict[str, Any], own: str, facts: dict[str, str]
) -> None:
    """Nothing is deployed unseen, and nobody has lost: the version stays as it is until the two are compared."""
    registry.holds(training_job="iris-1", metric_accuracy="0.9", **facts)
    told = "version 3 of iris is champion by now and was not asked the same held-out set, .* Clear the task"
    with pytest.raises(AirflowSkipException, match=told):
        deploy(asked)
    assert not [name for name, _ in aws.calls if name in ("UpdateEndpoint", "CreateEndpointConfig")]
    assert registry.packages[own]["ModelApprovalStatus"] == "PendingManualApproval"


def test_a_retry_after_the_update_asks_nobody(
    aws: FakeAws, endpoint: FakeEndpoint, registry: FakeRegistry, won: dict[str, Any]
) -> None:
    """A deployment that has begun is gone on with, so that it is tested."""
    endpoint.settles = True
    deployed = deploy(won)
    registry.holds(training_job="iris-1", metric_accuracy="0.97")
    again = deploy(won, TaskRun(try_number=2))
    assert (again["operation"], again["endpoint_config_name"]) == ("adopt", deployed["endpoint_config_name"])


def test_a_model_that_lost_at_the_gate_is_not_deployed(won: dict[str, Any]) -> None:
    """Whatever the trigger rule of the deployment lets through."""
    with pytest.raises(AirflowSkipException, match="did not win: too bad"):
        deploy({**won, "passed": False, "reasons": ["too bad"]})


@pytest.mark.parametrize("given", [None, "", "None"])
def test_without_a_challenge_nobody_is_asked(aws: FakeAws, registry: FakeRegistry, given: str | None) -> None:
    """A DAG leaves the registry to a setting."""
    assert deploy(given)["operation"] == "update"
    assert not aws.asked("ListModelPackages")


@pytest.mark.parametrize("given", [{"passed": True}, "won", ["won"]])
def test_another_result_is_refused_before_any_call(aws: FakeAws, endpoint: FakeEndpoint, given: Any) -> None:
    """The message names the parameter."""
    with pytest.raises(AirflowFailException, match="challenge: got"):
        deploy(given)
    assert aws.calls == []
