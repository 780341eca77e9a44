"""Deployments that AWS itself takes back, or fails to: the old model answers, and the task that waited says why."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_byoc.errors import EndpointRollbackFailedError, EndpointRolledBackError
from tests.support.classifier_account import ClassifierAccount, create, wait
from tests.support.process_cloud import wait_until
from tests.support.rollout import blue_green, count, guarded, percent, rolling
from tests.support.served_endpoint import (
    LIVE_AGAIN,
    SILENT,
    WRONG,
    Served,
    fails,
    instances,
    restore,
    served_endpoint,
    smoke_test_of,
)
from tests.support.task_run import TaskRun

PUT_BACK = "AWS put {} back, which serves as before"


@pytest.mark.way_back_row("the new container does not start")
def test_a_container_that_does_not_start_leaves_the_old_model(served: Served) -> None:
    """AWS goes back by itself; the task behind the wait has nothing to do and says so."""
    deployed = create(served.name, served.account.model(SILENT))
    told = PUT_BACK.format(served.config)
    with fails(rf"(?s){told}.*Variants concerned: AllTraffic.*a threshold below zero is no model") as caught:
        wait(deployed)
    assert isinstance(caught.value.__cause__, EndpointRolledBackError)
    with pytest.raises(AirflowSkipException, match=f"serves {served.config} already"):
        restore(deployed)
    assert served.answers_rightly()


@pytest.mark.way_back_row("AWS goes back, and nothing but the name of the live config tells of it")
def test_a_rollback_that_left_no_reason_is_told(served: Served) -> None:
    """The next change of weights has taken the reason away, and the endpoint is InService like any other."""
    deployed = create(served.name, served.account.model(SILENT))
    served.until_settled()
    weights = [{"VariantName": "AllTraffic", "DesiredWeight": 2.0}]
    change = served.account.sagemaker.update_endpoint_weights_and_capacities
    change(EndpointName=served.name, DesiredWeightsAndCapacities=weights)
    described = served.until_settled()
    assert (described["EndpointStatus"], described.get("FailureReason")) == ("InService", None)
    with fails(PUT_BACK.format(served.config)) as caught:
        wait(deployed)
    assert isinstance(caught.value.__cause__, EndpointRolledBackError)
    assert served.answers_rightly()


@pytest.mark.way_back_row("an alarm rings while a canary answers clients")
def test_an_alarm_during_a_canary_leaves_the_old_model(served: Served) -> None:
    """The wait goes on through the bake, and fails with AWS's reason although the endpoint is InService."""
    alarm = served.account.alarm()
    canary = guarded(blue_green("CANARY", percent(50), wait=600), alarm)
    deployed = create(served.name, served.account.model(WRONG), update_config={"DeploymentConfig": canary})
    wait_until(served.meets_another, "a client meets the canary", 60.0)
    assert served.describe()["EndpointStatus"] == "Updating"
    served.account.ring(alarm)
    with fails(f"{PUT_BACK.format(served.config)}.*ALARM: {alarm}") as caught:
        wait(deployed)
    assert isinstance(caught.value.__cause__, EndpointRolledBackError)
    with pytest.raises(AirflowSkipException, match=f"serves {served.config} already"):
        restore(deployed)
    assert served.answers_rightly()


@pytest.fixture
def pair(account: ClassifierAccount) -> Served:
    """An endpoint with two instances, for a rolling update."""
    return served_endpoint(account, 2)


def mix(pair: Served) -> dict[str, Any]:
    """Deploy in batches until an alarm rings, while the old model's artifact is away; return the deployment."""
    alarm = pair.account.alarm()
    batches = guarded(rolling(count(1), wait=5), alarm)
    deployed = create(
        pair.name, pair.account.model(WRONG), config=instances(2), update_config={"DeploymentConfig": batches}
    )
    with pair.account.without_artifact(pair.model):
        wait_until(lambda: "full capacity" in pair.stage(), "the last batch answers", 60.0)
        pair.account.ring(alarm)
        assert pair.until_settled()["EndpointStatus"] == "UpdateRollbackFailed"
    wait_until(pair.meets_another, "the new model still answers, too")
    return deployed


@pytest.mark.way_back_row("AWS's own way back fails, which leaves a mix of old and new instances")
def test_a_way_back_that_aws_did_not_get_through_with_is_gone_on_with(pair: Served) -> None:
    """The wait tells the mix with both reasons; the task behind it makes the endpoint whole."""
    deployed = mix(pair)
    told = r"UpdateRollbackFailed \(it serves a mix.*in state ALARM.*rollback failed too: Failed to download model data"
    with fails(rf"(?s){told}.*Variants concerned: AllTraffic") as caught:
        wait(deployed)
    assert isinstance(caught.value.__cause__, EndpointRollbackFailedError)
    restored = restore(deployed)
    assert (restored["operation"], restored["endpoint_config_name"]) == ("update", pair.config)
    _is_whole(pair)


@pytest.mark.way_back_row("AWS's own way back fails, which leaves a mix of old and new instances")
def test_a_mix_that_is_tested_is_made_whole(pair: Served) -> None:
    """A smoke test that somebody runs on it all the same finds the mix, and goes back."""
    with fails(LIVE_AGAIN.format(pair.config)):
        TaskRun().of(smoke_test_of(mix(pair)))
    _is_whole(pair)


@pytest.mark.way_back_row("AWS's own way back fails, which leaves a mix of old and new instances")
def test_a_mix_is_left_while_the_old_model_cannot_start(pair: Served) -> None:
    """The task behind the wait tells why, deletes nothing, and does its work when it is cleared."""
    deployed = mix(pair)
    refused = rf"did not take {pair.config} back: it is UpdateRollbackFailed.*Failed to download model data"
    with pair.account.without_artifact(pair.model), fails(refused):
        restore(deployed)
    assert pair.describe()["EndpointStatus"] == "UpdateRollbackFailed"
    restore(deployed)
    _is_whole(pair)


def _is_whole(pair: Served) -> None:
    """Check that two instances of the old model serve, and no other."""
    described = pair.describe()
    [variant] = described["ProductionVariants"]
    assert (described["EndpointStatus"], variant["CurrentInstanceCount"]) == ("InService", 2)
    assert pair.answers_rightly()
