"""Putting back what an endpoint served, seen from the requests that reach AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from sagemaker_byoc.errors import NoWayBackError, RequestError, RestoreError
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.operators.restore import RestoreEndpointOperator
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.task_run import TaskRun

CONFIG = {"EndpointConfigName": "old", "ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "m"}]}
MODEL = {"ModelName": "m", "PrimaryContainer": {"Image": "i"}, "ExecutionRoleArn": "arn:aws:iam::123456789012:role/r"}
POINT = {"config": CONFIG, "models": [MODEL]}
DEPLOYED = {
    "endpoint_name": "iris",
    "endpoint_config_name": "new",
    "previous_endpoint_config_name": "old",
    "operation": "update",
    "restore_point": POINT,
}
NO_CONFIG = AwsSays("ValidationException", 'Could not find endpoint configuration "arn:…".')
NO_MODEL = AwsSays("ValidationException", 'Could not find model "arn:…".')


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeEndpoint:
    """The endpoint ``iris``, which does quickly what it is told."""
    endpoint = FakeEndpoint(aws)
    endpoint.settles = True
    aws.on("CreateModel", {"ModelArn": "arn:aws:sagemaker:eu-west-1:123456789012:model/m"})
    return endpoint


def operator(**changes: Any) -> RestoreEndpointOperator:
    """Make the operator as a DAG would."""
    settings = {"deployment": DEPLOYED, "aws_conn_id": None, "poll_interval_seconds": 0, **changes}
    return RestoreEndpointOperator(task_id="restore_endpoint", **settings)


def changes_of(aws: FakeAws) -> list[str]:
    """Return the operations that changed something."""
    return [name for name, _ in aws.calls if name.startswith(("Create", "Update", "Delete"))]


@pytest.mark.parametrize("deferrable", [True, False])
def test_what_was_live_before_is_put_back(aws: FakeAws, endpoint: FakeEndpoint, deferrable: bool) -> None:
    """And waited for, in the triggerer or on the worker."""
    endpoint.exists("InService", "new")
    run = TaskRun()
    result = run.of(operator(deferrable=deferrable))
    assert result == {"endpoint_name": "iris", "endpoint_config_name": "old", "operation": "update"}
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old"}]
    assert len(run.deferrals) == int(deferrable)


RETAIN = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}],
}


@pytest.mark.parametrize(
    ("status", "sent"), [("InService", RETAIN), ("OutOfService", {}), ("UpdateRollbackFailed", {})]
)
@pytest.mark.parametrize("changes", [{}, {"endpoint_config_name": "old"}])
def test_a_fleet_that_was_scaled_keeps_its_size(
    aws: FakeAws, endpoint: FakeEndpoint, status: str, sent: dict[str, Any], changes: dict[str, Any]
) -> None:
    """As the deployment kept it; one that does not serve has no size worth keeping."""
    endpoint.exists(status, "new")
    TaskRun().of(operator(deployment={**DEPLOYED, "retain": RETAIN}, **changes))
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old", **sent}]


def test_what_was_deleted_meanwhile_is_made_again(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Models first, since the configuration names them; then the endpoint is told."""
    endpoint.exists("InService", "new")
    aws.on("DescribeModel", NO_MODEL)
    aws.on("DescribeEndpointConfig", NO_CONFIG)
    TaskRun().of(operator(deployment=json.dumps(DEPLOYED)))
    assert changes_of(aws) == ["CreateModel", "CreateEndpointConfig", "UpdateEndpoint"]
    assert (aws.asked("CreateModel"), aws.asked("CreateEndpointConfig")) == ([MODEL], [CONFIG])


def test_a_deleted_endpoint_is_created(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """With the old configuration and the tags of this run."""
    assert TaskRun().of(operator())["operation"] == "create"
    [request] = aws.asked("CreateEndpoint")
    assert request["EndpointConfigName"] == "old"
    assert {"Key": "airflow:dag_id", "Value": "retrain"} in request["Tags"]


@pytest.mark.parametrize("state", [("Failed", "new"), ("Failed", "old"), ("OutOfService", "old")])
def test_an_endpoint_that_cannot_be_updated_is_replaced(
    aws: FakeAws, endpoint: FakeEndpoint, state: tuple[str, str]
) -> None:
    """Nothing is lost, since it serves nothing."""
    endpoint.exists(*state)
    assert TaskRun().of(operator())["operation"] == "create"
    assert changes_of(aws) == ["DeleteEndpoint", "CreateEndpoint"]


def test_a_mix_that_aws_does_not_heal_is_told_with_what_to_do(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It serves, so that nobody but a person may delete it."""
    endpoint.exists("UpdateRollbackFailed", "old")
    assert TaskRun().of(operator())["operation"] == "update"
    endpoint.exists("UpdateRollbackFailed", "old")
    aws.on("UpdateEndpoint", AwsSays("ValidationException", "Cannot update to what it has."))
    with pytest.raises(AirflowFailException, match=r"a mix of old .*what it has.*delete the endpoint"):
        TaskRun().of(operator())
    assert aws.asked("DeleteEndpoint") == []


def test_nothing_is_deleted_that_could_not_be_created_again(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Without a restore point, and without the configuration."""
    endpoint.exists("Failed", "new")
    aws.on("DescribeEndpointConfig", NO_CONFIG)
    with pytest.raises(AirflowFailException, match="old does not exist") as caught:
        TaskRun().of(operator(deployment={**DEPLOYED, "restore_point": None}))
    assert isinstance(caught.value.__cause__, NoWayBackError)
    assert changes_of(aws) == []


def test_a_busy_endpoint_is_waited_for(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The deployment that is being put back may still be under way."""
    endpoint.goes_through(("Updating", "old"), ("Updating", "old"), ("InService", "new"))
    assert TaskRun().of(operator())["operation"] == "update"


def test_an_update_that_meets_another_is_repeated(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A refusal in between is no failure of the way back."""
    endpoint.exists("InService", "new")
    refusals = iter([AwsSays("ValidationException", 'Cannot update in-progress endpoint "arn:…".')])

    def update(**request: Any) -> dict[str, Any]:
        for refusal in refusals:
            raise refusal
        return endpoint.update(**request)

    aws.on("UpdateEndpoint", update)
    assert TaskRun().of(operator())["operation"] == "update"
    assert len(aws.asked("UpdateEndpoint")) == 2


def test_a_retry_goes_on_with_what_an_earlier_try_began(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The worker died after the call; it is not called again."""
    endpoint.exists("Updating", "new", pending="old")
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun().context)
    endpoint.exists("InService", "old")
    result = operator().execute_complete(TaskRun().context, {"look": None}, **(deferral.value.kwargs or {}))
    assert result["operation"] == "adopt"
    assert changes_of(aws) == []


def test_a_way_back_that_fails_is_not_tried_for_ever(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The old container does not start any more: AWS's reason is told, and what is live."""
    endpoint.exists("InService", "new")

    def update(**_: Any) -> dict[str, Any]:
        endpoint.goes_through(("Updating", "new"), ("InService", "new"), reason="ping failed")
        return {"EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/iris"}

    aws.on("UpdateEndpoint", update)
    with pytest.raises(
        AirflowFailException, match=r"did not take old back: it is InService with new.*ping failed"
    ) as no:
        TaskRun().of(operator())
    assert isinstance(no.value.__cause__, RestoreError)
    assert len(aws.asked("UpdateEndpoint")) == 1


SKIPS: list[tuple[dict[str, Any], str]] = [
    ({}, "serves old already"),
    ({"deployment": {**DEPLOYED, "previous_endpoint_config_name": None}}, "served nothing before"),
    ({"deployment": "None"}, "Nothing was deployed"),
]


@pytest.mark.parametrize(("changes", "message"), SKIPS)
def test_with_nothing_to_do_the_task_is_skipped(
    aws: FakeAws, endpoint: FakeEndpoint, changes: dict[str, Any], message: str
) -> None:
    """Visibly, and it says why."""
    endpoint.exists("InService", "old")
    with pytest.raises(AirflowSkipException, match=message):
        TaskRun().of(operator(**changes))
    assert changes_of(aws) == []


@pytest.mark.parametrize("status", ["InService", "Failed"])
def test_a_later_deployment_is_left_alone(aws: FakeAws, endpoint: FakeEndpoint, status: str) -> None:
    """It is another run's, which looks after it itself."""
    endpoint.exists(status, "third")
    with pytest.raises(AirflowSkipException, match="third, of a later deployment, which is left alone"):
        TaskRun().of(operator())
    assert changes_of(aws) == []


BY_HAND = {"deployment": None, "endpoint_name": "iris"}


def test_a_person_may_choose_any_configuration(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Whatever is live then, it is replaced."""
    endpoint.exists("InService", "third")
    result = TaskRun().of(operator(**BY_HAND, endpoint_config_name="first"))
    assert (result["endpoint_config_name"], result["operation"]) == ("first", "update")


def test_a_restore_point_alone_says_what_shall_serve(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It was kept somewhere, and everything else is gone."""
    aws.on("DescribeModel", NO_MODEL)
    aws.on("DescribeEndpointConfig", NO_CONFIG)
    assert TaskRun().of(operator(**BY_HAND, restore_point=json.dumps(POINT)))["endpoint_config_name"] == "old"
    assert changes_of(aws) == ["CreateModel", "CreateEndpointConfig", "CreateEndpoint"]


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({**BY_HAND}, "endpoint_config_name: got None"),
    ({**BY_HAND, "endpoint_config_name": ""}, "endpoint_config_name: got ''|got None"),
    ({**BY_HAND, "restore_point": "{'a': 1}"}, "restore_point: got"),
    ({**BY_HAND, "endpoint_config_name": "first", "restore_point": POINT}, "that of the restore point, old"),
    ({"deployment": "iris"}, "deployment: got 'iris'"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_bad_input_is_refused_before_any_call(
    aws: FakeAws, endpoint: FakeEndpoint, changes: dict[str, Any], message: str
) -> None:
    """The message names the field."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(**changes))
    assert aws.calls == []


def test_without_an_endpoint_the_dag_does_not_load() -> None:
    """Neither parameter that could name one was given."""
    with pytest.raises(RequestError, match="deployment"):
        operator(deployment=None)


def test_a_missing_configuration_is_told_before_anything_is_changed(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """AWS would answer in its own words, and only to the call that changes the endpoint."""
    endpoint.exists("InService", "new")
    aws.on("DescribeEndpointConfig", NO_CONFIG)
    with pytest.raises(AirflowFailException, match="configuration typo does not exist"):
        TaskRun().of(operator(**BY_HAND, endpoint_config_name="typo"))
    assert changes_of(aws) == []


def test_the_button_leads_to_the_endpoint(endpoint: FakeEndpoint) -> None:
    """It works as soon as the task has begun."""
    run = TaskRun()
    run.of(operator())
    assert run.xcoms[EndpointLink().xcom_key].endswith("#/endpoints/iris")


def test_a_wait_that_broke_off_fails_the_task(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The trigger gives up only where no further look would succeed."""
    goal = {"endpoint_name": "iris", "config_name": "old", "replaced_config": "new"}
    with pytest.raises(AirflowFailException, match="not authorized"):
        operator().execute_complete(TaskRun().context, {"error": "not authorized to look"}, goal=goal, sent="update")
