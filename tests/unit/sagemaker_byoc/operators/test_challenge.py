"""The gate between training and deployment."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sagemaker_byoc.operators.challenge import EvaluateChallengerOperator
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_configs import FakeConfigs
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.fake_registry import GROUP, FakeRegistry
from tests.support.task_run import TaskRun

JOB = {"training_job_name": "iris-2", "metrics": {"accuracy": 0.9, "loss": 0.3}}


@pytest.fixture
def registry(aws: FakeAws) -> FakeRegistry:
    """A registry without groups."""
    return FakeRegistry(aws)


def operator(**changes: Any) -> EvaluateChallengerOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "training_job": JOB,
        "model_package_group": GROUP,
        "criteria": {"accuracy": {"goal": "maximize", "margin": "0.01"}},
        "aws_conn_id": None,
    }
    return EvaluateChallengerOperator(task_id="evaluate", **settings | changes)


def serves(aws: FakeAws, package: str, smoke_test: str) -> None:
    """Let the live configuration have been deployed from a version; empty for one that nobody knows."""
    tags = {"model_package": package, "smoke_test": smoke_test}
    aws.on("ListTags", {"Tags": [{"Key": key, "Value": value} for key, value in tags.items() if value]})


@pytest.mark.parametrize("state", ["no group", "no version", "nothing approved"])
def test_without_a_champion_the_model_passes(registry: FakeRegistry, state: str) -> None:
    """The first model of a group has nobody to win against."""
    if state != "no group":
        registry.groups[GROUP] = {}
    if state == "nothing approved":
        registry.holds("PendingManualApproval", metric_accuracy="0.99")
        registry.holds("Rejected", metric_accuracy="0.99")
    verdict = TaskRun().of(operator())
    assert (verdict["passed"], verdict["champion"]) == (True, None)


def test_a_better_model_passes(registry: FakeRegistry) -> None:
    """The verdict names the champion and both numbers."""
    arn = registry.holds(metric_accuracy="0.85")
    verdict = TaskRun().of(operator())
    assert verdict["passed"]
    assert verdict["champion"] == {"model_package_arn": arn, "version": 1, "approval_status": "Approved"}
    [compared] = verdict["comparison"]
    assert (compared["challenger"], compared["champion"], compared["margin"]) == (0.9, 0.85, 0.01)


def test_a_model_that_does_not_win_skips_what_follows(registry: FakeRegistry, aws: FakeAws) -> None:
    """The task is skipped with the reason, and its verdict is there all the same."""
    registry.holds(metric_accuracy="0.9")
    run = TaskRun()
    told = "does not win against version 1 of iris: accuracy 0.9 is not better than the champion's 0.9 by at least 0.01"
    with pytest.raises(AirflowSkipException, match=told):
        run.of(operator())
    assert run.xcoms["return_value"]["passed"] is False
    assert "NOT GOOD ENOUGH" in run.xcoms["return_value"]["table"]
    assert not aws.asked("UpdateModelPackage")


def test_the_loser_is_rejected_in_the_registry(registry: FakeRegistry) -> None:
    """Left pending, somebody might approve it by mistake."""
    registry.holds(metric_accuracy="0.95")
    own = registry.holds("PendingManualApproval", training_job="iris-2", metric_accuracy="0.9")
    with pytest.raises(AirflowSkipException):
        TaskRun().of(operator(model_package={"model_package_arn": own}))
    assert registry.packages[own]["ModelApprovalStatus"] == "Rejected"
    assert "does not win against version 1" in registry.packages[own]["ApprovalDescription"]


def test_a_loser_that_serves_is_not_rejected(registry: FakeRegistry, aws: FakeAws) -> None:
    """Its run was cleared after its deployment; clients would be answered by a rejected version."""
    registry.holds(metric_accuracy="0.95")
    own = registry.holds(training_job="iris-2", metric_accuracy="0.9")
    FakeEndpoint(aws).exists("InService", "config")
    serves(aws, own, "passed")
    with pytest.raises(AirflowSkipException, match="does not win"):
        TaskRun().of(operator(model_package={"model_package_arn": own}, endpoint_name="iris"))
    assert registry.packages[own]["ModelApprovalStatus"] == "Approved"


def test_the_champion_is_the_newest_approved_one_of_another_job(registry: FakeRegistry) -> None:
    """Neither an older one counts, nor a rejected one, nor the model itself, which an earlier try approved."""
    registry.holds(metric_accuracy="0.99")
    champion = registry.holds(metric_accuracy="0.5")
    registry.holds("Rejected", metric_accuracy="0.99")
    registry.holds(training_job="iris-2", metric_accuracy="0.9")
    assert TaskRun().of(operator())["champion"]["model_package_arn"] == champion


@pytest.mark.parametrize(
    ("approval", "smoke_test", "is_champion"),
    [
        ("Approved", "", True),
        ("PendingManualApproval", "passed", True),
        ("PendingManualApproval", "", False),
        ("Rejected", "passed", False),
    ],
)
def test_the_champion_is_what_is_live_if_it_is_proven(
    registry: FakeRegistry, aws: FakeAws, approval: str, smoke_test: str, is_champion: bool
) -> None:
    """An approved version that is newer was taken away again, or never deployed."""
    live = registry.holds(approval, training_job="iris-0", metric_accuracy="0.7")
    newest = registry.holds(training_job="iris-1", metric_accuracy="0.5")
    FakeEndpoint(aws).exists("InService", "config")
    serves(aws, live, smoke_test)
    verdict = TaskRun().of(operator(endpoint_name="iris"))
    assert verdict["champion"]["model_package_arn"] == (live if is_champion else newest)
    assert TaskRun().of(operator())["champion"]["model_package_arn"] == newest, "nobody said which endpoint"


@pytest.mark.parametrize("case", ["own", "of another group", "deleted", "unknown", "no endpoint"])
def test_what_is_live_and_no_champion_leaves_the_newest_approved_one(
    registry: FakeRegistry, aws: FakeAws, case: str
) -> None:
    """The model itself, another group's, one that was deleted, one of before there was a registry, or nothing."""
    newest = registry.holds(training_job="iris-0", metric_accuracy="0.5")
    endpoint = FakeEndpoint(aws)
    if case != "no endpoint":
        endpoint.exists("InService", "config")
    live = registry.holds("PendingManualApproval", training_job="iris-2" if case == "own" else "x", metric_accuracy="1")
    if case == "of another group":
        registry.packages[live]["ModelPackageGroupName"] = "roses"
    serves(aws, {"deleted": f"{live}0", "unknown": ""}.get(case, live), "passed")
    assert TaskRun().of(operator(endpoint_name="iris"))["champion"]["model_package_arn"] == newest


@pytest.mark.parametrize("ways", [["held", "old"], ["held", "left", "old"]])
def test_beside_a_candidate_the_champion_is_the_model_that_it_was_put_beside(
    registry: FakeRegistry, aws: FakeAws, ways: list[str]
) -> None:
    """Not the candidate, although it has passed its test, and not the newest approved version."""
    live = registry.holds(training_job="iris-0", metric_accuracy="0.7")
    candidate = registry.holds("PendingManualApproval", training_job="iris-1", metric_accuracy="0.8")
    registry.holds(training_job="x", metric_accuracy="0.5")
    FakeEndpoint(aws).exists("InService", ways[0])
    configs = FakeConfigs(aws)
    for name, replaced in pairwise(ways):
        held = {"replaced_config": replaced, "candidate_for": "c", "candidate_package": candidate}
        configs.make(name, smoke_test="passed", **held)
    configs.make("old", model_package=live, smoke_test="passed")
    assert TaskRun().of(operator(endpoint_name="iris"))["champion"]["model_package_arn"] == live


def test_a_limit_counts_without_a_champion(registry: FakeRegistry) -> None:
    """A first model that is useless is not deployed either."""
    with pytest.raises(AirflowSkipException, match=r"\(iris has no champion\): loss 0.3 is worse than its limit 0.2"):
        TaskRun().of(operator(criteria={"loss": {"goal": "minimize", "limit": 0.2}}))


@pytest.mark.parametrize("group", [None, "", "None"])
def test_without_a_group_the_task_is_skipped(aws: FakeAws, group: str | None) -> None:
    """A DAG leaves the registry to a setting; AWS is not asked."""
    run = TaskRun()
    with pytest.raises(AirflowSkipException, match="there is no model_package_group"):
        run.of(operator(model_package_group=group))
    assert (aws.calls, run.xcoms) == ([], {})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"criteria": {"recall": "maximize"}}, "a metric of the challenger: accuracy, loss"),
        ({"criteria": {"loss": "minimize"}}, "a metric of the champion: accuracy"),
        ({"criteria": {"accuracy": "up"}}, "criteria.accuracy.goal: got 'up'"),
        ({"training_job": {"training_job_name": "x"}}, "training_job: got"),
        ({"model_package": "iris"}, "model_package: got 'iris'"),
    ],
)
def test_what_cannot_be_compared_fails_for_good(registry: FakeRegistry, change: dict[str, Any], told: str) -> None:
    """A retry would find the same; skipping would hide it."""
    registry.holds(metric_accuracy="0.5")
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(operator(**change))
    assert told in str(raised.value)


def test_throttling_is_left_to_airflows_retries(registry: FakeRegistry, aws: FakeAws) -> None:
    """A champion that could not be asked for is not one that does not exist."""
    aws.on("ListModelPackages", AwsSays("ThrottlingException", "Rate exceeded"))
    with pytest.raises(Exception, match="Rate exceeded") as raised:
        TaskRun().of(operator())
    assert not isinstance(raised.value, (AirflowFailException, AirflowSkipException))
