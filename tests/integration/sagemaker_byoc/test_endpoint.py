"""Endpoints deployed, waited for and tested by the operators on a local AWS whose containers really serve."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sagemaker_byoc.errors import EndpointFailedError, EndpointSupersededError
from tests.support.classifier_account import ClassifierAccount, create, smoke_test, wait
from tests.support.rollout import blue_green
from tests.support.task_run import TaskRun


def test_a_model_is_deployed_tested_and_replaced(account: ClassifierAccount) -> None:
    """Create, wait, test; then update to another model, whose answers are others."""
    name = account.name()
    first = create(name, account.model(5))
    assert wait(first) == {"endpoint_name": name, "endpoint_config_name": first["endpoint_config_name"]}
    assert smoke_test(name)["accuracy"] == 1.0
    second = create(name, account.model(0))
    assert (second["operation"], second["previous_endpoint_config_name"]) == ("update", first["endpoint_config_name"])
    wait(second)
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=r"2 of 4 right"):
        smoke_test(name, run)
    assert run.xcoms["return_value"]["correct"] == 2


def test_repeating_a_deployment_changes_nothing(account: ClassifierAccount) -> None:
    """A retry after the end finds everything as it wants it."""
    name, model = account.name(), account.model(5)
    wait(create(name, model))
    before = account.sagemaker.describe_endpoint(EndpointName=name)
    assert create(name, model)["operation"] == "none"
    after = account.sagemaker.describe_endpoint(EndpointName=name)
    assert after["LastModifiedTime"] == before["LastModifiedTime"]


def test_a_retry_during_the_deployment_adopts_it(account: ClassifierAccount) -> None:
    """The second try sees the endpoint being created with its own configuration."""
    name, model = account.name(), account.model(5)
    first = create(name, model)
    again = create(name, model)
    assert again["operation"] in {"adopt", "none"}
    assert again["endpoint_config_name"] == first["endpoint_config_name"]
    wait(again)


def test_a_second_deployment_waits_for_the_first(account: ClassifierAccount) -> None:
    """Without the queue two runs make one update after the other, and the first one's sensor tells who overtook it."""
    name = account.name()
    first = create(name, account.model(5), exclusive=False)
    run = TaskRun(run_id="another")
    second = create(name, account.model(4), run, exclusive=False)
    assert run.deferrals
    assert second["previous_endpoint_config_name"] == first["endpoint_config_name"]
    wait(second)
    with pytest.raises(AirflowFailException) as caught:
        wait(first)
    assert isinstance(caught.value.__cause__, EndpointSupersededError)


def test_a_linear_deployment_goes_through(account: ClassifierAccount) -> None:
    """Numbers from templates are text until the request is checked; the pauses are waited for."""
    name = account.name()
    wait(create(name, account.model(0)))
    linear = blue_green("LINEAR", {"Type": "CAPACITY_PERCENT", "Value": "50"}, wait=1)
    deployed = create(name, account.model(5), update_config={"DeploymentConfig": linear})
    assert wait(deployed)["endpoint_config_name"] == deployed["endpoint_config_name"]
    assert smoke_test(name)["accuracy"] == 1.0


def test_a_first_deployment_that_failed_is_replaced_by_the_next(account: ClassifierAccount) -> None:
    """Nobody has to delete the Failed endpoint by hand."""
    name = account.name()
    with pytest.raises(AirflowFailException, match="is Failed") as caught:
        wait(create(name, account.model(-1)))
    assert isinstance(caught.value.__cause__, EndpointFailedError)
    deployed = create(name, account.model(5))
    assert deployed["operation"] == "create"
    wait(deployed)


def test_a_backfill_does_not_replace_a_newer_model(account: ClassifierAccount) -> None:
    """The date on the live configuration is read from AWS."""
    name = account.name()
    newer = replace(TaskRun(), logical_date=datetime(2026, 5, 1, tzinfo=timezone.utc))
    wait(create(name, account.model(5), newer))
    with pytest.raises(AirflowSkipException, match="2026-05-01"):
        create(name, account.model(4))
    assert create(name, account.model(4), data_date="2026-05-01")["operation"] == "update"


def test_an_overtaken_smoke_test_judges_nothing(account: ClassifierAccount) -> None:
    """The endpoint answers well, but with a model that is another run's."""
    name = account.name()
    first = create(name, account.model(5))
    wait(first)
    assert smoke_test(name, endpoint_config_name=first["endpoint_config_name"])["passed"]
    second = create(name, account.model(4.5))
    wait(second)
    with pytest.raises(AirflowFailException, match="another deployment"):
        smoke_test(name, endpoint_config_name=first["endpoint_config_name"])


def test_an_unknown_model_is_refused_by_name(account: ClassifierAccount) -> None:
    """AWS's words reach the user, and no endpoint is left behind."""
    name = account.name()
    with pytest.raises(AirflowFailException, match="no-such-model"):
        create(name, "no-such-model")
    assert name not in [each["EndpointName"] for each in account.sagemaker.list_endpoints()["Endpoints"]]


def test_the_containers_refusal_is_told(account: ClassifierAccount) -> None:
    """A wrong column is explained in the container's words."""
    name = account.name()
    wait(create(name, account.model(5)))
    with pytest.raises(AirflowFailException, match="status 400: the column length is missing"):
        smoke_test(name, records=[{"size": 1, "kind": "short"}])


def test_an_unknown_endpoint_is_told(account: ClassifierAccount) -> None:
    """The smoke test names it before it says anything about answers."""
    with pytest.raises(AirflowFailException, match=r"endpoint_name: got 'nowhere'"):
        smoke_test("nowhere")
