"""From what AWS describes to what makes it again."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import botocore.session
import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.restore_point import RestorePoint, creation_request, model_names

SHAPES = botocore.session.get_session().get_service_model("sagemaker")
THEN = datetime(2026, 1, 1, tzinfo=timezone.utc)
ARTIFACT = "s3://bucket/model.tar.gz"


def shape(operation: str) -> Any:
    """Return the input shape of an operation."""
    return SHAPES.operation_model(operation).input_shape


def test_a_request_has_only_what_can_be_requested() -> None:
    """ARN, times and whatever else AWS adds at any depth would be refused."""
    described = {
        "EndpointConfigName": "old",
        "EndpointConfigArn": "arn",
        "CreationTime": THEN,
        "ProductionVariants": [{"VariantName": "a", "ModelName": "m", "CurrentWeight": 1.0}],
        "DataCaptureConfig": {},
        "ShadowProductionVariants": [],
        "EnableNetworkIsolation": False,
    }
    assert creation_request(described, shape("CreateEndpointConfig")) == {
        "EndpointConfigName": "old",
        "ProductionVariants": [{"VariantName": "a", "ModelName": "m"}],
        "EnableNetworkIsolation": False,
    }


def test_everything_that_can_be_requested_is_kept() -> None:
    """Whichever members AWS's model has, described as requested, come back as they were."""
    for operation in ("CreateEndpointConfig", "CreateModel"):
        whole = example(shape(operation))
        whole.pop("Tags")
        assert creation_request(whole, shape(operation)) == whole


def example(given: Any, seen: tuple[str, ...] = ()) -> Any:
    """Make a value with all members of a shape."""
    if given.type_name == "structure":
        members = given.members.items()
        return {name: example(one, (*seen, given.name)) for name, one in members if one.name not in seen}
    if given.type_name == "list":
        return [example(given.member, seen)]
    if given.type_name == "map":
        return {"key": example(given.value, seen)}
    return {"integer": 1, "boolean": True, "float": 0.5}.get(given.type_name, f"some {given.name}")


def test_a_data_source_that_repeats_the_url_is_left_out() -> None:
    """AWS describes both for a model that was made of one; another source stays."""
    container = {"Image": "i", "ModelDataUrl": ARTIFACT}
    for uri, kept in ((ARTIFACT, False), ("s3://bucket/else/", True)):
        source = {"S3DataSource": {"S3Uri": uri, "S3DataType": "S3Object", "CompressionType": "Gzip"}}
        described = {"ModelName": "m", "PrimaryContainer": {**container, "ModelDataSource": source}}
        request = creation_request(described, shape("CreateModel"))
        assert ("ModelDataSource" in request["PrimaryContainer"]) is kept


def test_tags_come_along_but_not_those_of_aws() -> None:
    """A stack's own tags would be refused."""
    tags = [{"Key": "team", "Value": "iris"}, {"Key": "aws:cloudformation:stack-name", "Value": "x"}]
    request = creation_request({"ModelName": "m"}, shape("CreateModel"), tags)
    assert request == {"ModelName": "m", "Tags": [{"Key": "team", "Value": "iris"}]}


def test_a_time_becomes_text() -> None:
    """Should a request ever have one: boto3 takes ISO 8601 as well."""
    start = shape("ListEndpointConfigs")
    assert creation_request({"CreationTimeAfter": THEN}, start) == {"CreationTimeAfter": "2026-01-01T00:00:00+00:00"}


def test_the_models_of_shadows_are_needed_too() -> None:
    """Each once, and a variant of inference components has none."""
    config = {
        "ProductionVariants": [{"ModelName": "a"}, {"ModelName": "a"}, {"VariantName": "components"}],
        "ShadowProductionVariants": [{"ModelName": "b"}],
    }
    assert model_names(config) == ["a", "b"]


def test_a_point_survives_an_xcom_and_a_template() -> None:
    """Both ways of handing it on give the same."""
    point = RestorePoint({"EndpointConfigName": "old"}, [{"ModelName": "m"}])
    assert RestorePoint.of(point.as_json()) == RestorePoint.of(json.dumps(point.as_json())) == point
    assert [RestorePoint.of(nothing) for nothing in (None, "", "None", "null")] == [None] * 4


@pytest.mark.parametrize("given", ["{'config': 1}", "[]", 5, {"config": {}}, {"models": []}])
def test_what_is_no_point_is_refused(given: object) -> None:
    """A Python literal, for example, is what a template without tojson gives."""
    with pytest.raises(RequestError, match="restore_point: got"):
        RestorePoint.of(given)
