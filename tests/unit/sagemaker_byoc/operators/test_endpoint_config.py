"""Listing an endpoint's configurations."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.operators.endpoint_config import ListEndpointConfigsOperator
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.task_run import TaskRun

NEWEST = datetime(2026, 1, 9, tzinfo=timezone.utc)
NAMES = ["iris-3", "iris-scale-1", "iris-2", "iris-1"]


def arn(name: str) -> str:
    """Return the ARN of a configuration."""
    return f"arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/{name}"


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeEndpoint:
    """The endpoint ``iris`` with three configurations of its own, and one of another endpoint."""
    endpoint = FakeEndpoint(aws)

    def summary(name: str) -> dict[str, Any]:
        created = NEWEST - timedelta(days=NAMES.index(name))
        return {"EndpointConfigName": name, "EndpointConfigArn": arn(name), "CreationTime": created}

    def describe(**request: Any) -> dict[str, Any]:
        found = summary(request["EndpointConfigName"])
        return {**found, "ProductionVariants": [{"VariantName": "a", "ModelName": f"{found['EndpointConfigName']}-m"}]}

    def tags(**request: Any) -> dict[str, Any]:
        name = request["ResourceArn"].rpartition("/")[2]
        tags = {
            "endpoint": "iris-scale" if "scale" in name else "iris",
            "data_date": f"2026-01-0{name[-1]}",
            "model_package": f"arn:{name}",
        }
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def pages(**request: Any) -> dict[str, Any]:
        if "NextToken" in request:
            return {"EndpointConfigs": [summary(name) for name in NAMES[2:]]}
        return {"EndpointConfigs": [summary(name) for name in NAMES[:2]], "NextToken": "more"}

    aws.on("ListEndpointConfigs", pages)
    aws.on("DescribeEndpointConfig", describe)
    aws.on("ListTags", tags)
    return endpoint


def operator(**changes: Any) -> ListEndpointConfigsOperator:
    """Make the operator as a DAG would."""
    settings = {"endpoint_name": "iris", "aws_conn_id": None, **changes}
    return ListEndpointConfigsOperator(task_id="list_configs", **settings)


def test_the_endpoints_own_configurations_are_listed(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Newest first, over all pages; one of an endpoint whose name begins the same is none of them."""
    endpoint.exists("InService", "iris-3", keep_tags=True)
    result = TaskRun().of(operator())
    assert [config["name"] for config in result["configs"]] == ["iris-3", "iris-2", "iris-1"]
    assert (result["live"], result["before_live"]) == ("iris-3", "iris-2")
    assert (result["configs"][1]["models"], result["configs"][1]["model_package"]) == (["iris-2-m"], "arn:iris-2")
    first = aws.asked("ListEndpointConfigs")[0]
    assert first == {"NameContains": "iris", "SortBy": "CreationTime", "SortOrder": "Descending"}


def test_the_table_is_in_the_log(endpoint: FakeEndpoint, capsys: pytest.CaptureFixture[str]) -> None:
    """A person chooses by it."""
    endpoint.exists("InService", "iris-3", keep_tags=True)
    TaskRun().of(operator())
    assert "live  iris-3         2026-01-09T00:00:00  2026-01-03  iris-3-m" in capsys.readouterr().out


def test_the_number_is_bounded(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """What is not wanted is not asked for either."""
    assert len(TaskRun().of(operator(maximum_configs="1"))["configs"]) == 1
    assert len(aws.asked("DescribeEndpointConfig")) == 1


def test_a_name_of_another_beginning_can_be_given(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The deployment may have named its configurations otherwise."""
    TaskRun().of(operator(name_contains="flowers"))
    assert aws.asked("ListEndpointConfigs")[0]["NameContains"] == "flowers"


def test_the_live_one_is_always_listed(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """One that is older than the list is long, and what was asked for by name, each in its place."""
    endpoint.exists("InService", "iris-1", keep_tags=True)
    result = TaskRun().of(operator(maximum_configs=1, endpoint_config_name="iris-2"))
    assert [config["name"] for config in result["configs"]] == ["iris-3", "iris-2", "iris-1"]
    assert (result["live"], result["before_live"]) == ("iris-1", None), "what came later is no way back"


def test_a_candidate_is_known_by_its_own_tags(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It has not the tag by which others are listed; what goes back with it is what it was put beside."""
    tags = {"candidate_for": "iris-4", "replaced_config": "iris-1", "candidate_package": "arn:4"}
    combined = [{"Key": key, "Value": value} for key, value in tags.items()]
    usual = aws.answers["ListTags"]

    def tags_of(**request: Any) -> dict[str, Any]:
        name = request["ResourceArn"].rpartition("/")[2]
        found: dict[str, Any] = {"Tags": combined} if name == "iris-scale-1" else usual(**request)
        return found

    aws.on("ListTags", tags_of)
    endpoint.exists("InService", "iris-scale-1", keep_tags=True)
    result = TaskRun().of(operator(maximum_configs=1))
    assert (result["live"], result["before_live"]) == ("iris-scale-1", "iris-1")
    assert [config["name"] for config in result["configs"]] == ["iris-3", "iris-scale-1", "iris-1"]
    live = result["configs"][1]
    assert (live["candidate_for"], live["candidate_package"], live["model_package"]) == ("iris-4", "arn:4", "")


def test_one_that_is_deleted_meanwhile_is_left_out(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Between the list and the look at it."""
    aws.on("DescribeEndpointConfig", AwsSays("ValidationException", 'Could not find endpoint configuration "arn:…".'))
    result = TaskRun().of(operator())
    assert (result["configs"], result["live"], result["before_live"]) == ([], None, None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"endpoint_name": ""}, "endpoint_name: got ''"), ({"maximum_configs": "0"}, "maximum_configs: got '0'")],
)
def test_bad_input_is_refused_before_any_call(
    aws: FakeAws, endpoint: FakeEndpoint, changes: dict[str, Any], message: str
) -> None:
    """The message names the field."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(**changes))
    assert aws.calls == []
