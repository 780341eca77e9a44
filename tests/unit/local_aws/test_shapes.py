"""Requests against botocore's service model: types, constraints and AWS's words."""

from __future__ import annotations

import base64
import datetime as dt
import json
from typing import Any

import botocore.session
import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.constraint import scalar_faults
from local_aws.errors import AwsError
from local_aws.shapes import read_document

_SAGEMAKER = botocore.session.get_session().get_service_model("sagemaker")
_RUNTIME = botocore.session.get_session().get_service_model("sagemaker-runtime")


def _read(operation: str, document: Any) -> Any:
    return read_document(_SAGEMAKER.operation_model(operation).input_shape, document)


def _refusal(operation: str, document: Any) -> AwsError:
    with pytest.raises(AwsError) as refusal:
        _read(operation, document)
    return refusal.value


def _base64(size: int) -> str:
    return base64.b64encode(bytes(size)).decode()


def test_a_good_request_comes_back_in_python_types() -> None:
    """Times become aware datetimes; members that AWS does not know are left out; null is as good as nothing."""
    request = _read(
        "ListTrainingJobs", {"CreationTimeAfter": 1_700_000_000.5, "MaxResults": 5, "Unknown": 1, "NameContains": None}
    )

    moment = dt.datetime(2023, 11, 14, 22, 13, 20, 500_000, dt.timezone.utc)
    assert request == {"CreationTimeAfter": moment, "MaxResults": 5}


def test_every_broken_constraint_is_told_at_once() -> None:
    """The text counts the faults and gives value, path and constraint of each."""
    error = _refusal("ListTrainingJobs", {"MaxResults": 101, "SortBy": "Age", "NameContains": "a b"})

    assert error.code == "ValidationException"
    assert error.status == 400
    assert error.message == (
        "3 validation errors detected: "
        "Value '101' at 'maxResults' failed to satisfy constraint: Member must have value less than or equal to 100; "
        "Value 'a b' at 'nameContains' failed to satisfy constraint: "
        r"Member must satisfy regular expression pattern: [a-zA-Z0-9\-]+; "
        "Value 'Age' at 'sortBy' failed to satisfy constraint: Member must satisfy enum value set: "
        "[Name, CreationTime, Status]"
    )


def test_a_missing_member_must_not_be_null() -> None:
    """Required members are asked for wherever their structure is, by the path to them."""
    error = _refusal("AddTags", {"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:x", "Tags": [{"Key": "a"}]})

    assert error.message == (
        "1 validation error detected: Value null at 'tags.1.member.value' failed to satisfy constraint: "
        "Member must not be null"
    )


def test_scalars_in_lists_and_maps_are_told_together() -> None:
    """A list or map of texts has one fault that names all constraints its members break."""
    tags = _refusal("DeleteTags", {"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:x", "TagKeys": ["", "#"]})
    variables = _refusal(
        "CreateModel", {"ModelName": "m", "PrimaryContainer": {"Environment": {"1a": "x" * 3, "b": "y"}}}
    )

    assert tags.message.startswith(
        "1 validation error detected: Value '[, #]' at 'tagKeys' failed to satisfy constraint: Member must satisfy "
        "constraint: [Member must have length greater than or equal to 1, Member must satisfy regular expression"
    )
    assert variables.message == (
        "1 validation error detected: Value '{1a=xxx, b=y}' at 'primaryContainer.environment' failed to satisfy "
        "constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: "
        "[a-zA-Z_][a-zA-Z0-9_]*]"
    )


def test_a_pattern_has_to_match_the_whole_text() -> None:
    """A match at the start, or up to a line end, is none."""
    for name in ("job name", "job\n", " job", "job-"):
        assert "regular expression pattern" in _refusal("DescribeTrainingJob", {"TrainingJobName": name}).message


def test_an_empty_list_can_be_too_short() -> None:
    """Lengths count for lists too."""
    error = _refusal("DeleteTags", {"ResourceArn": "arn:aws:sagemaker:eu-west-1:123456789012:x", "TagKeys": []})

    assert "Value '[]' at 'tagKeys' failed to satisfy constraint: Member must have length greater than" in error.message


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ([], "Unexpected value where a structure was expected"),
        ({"MaxResults": "5"}, "STRING_VALUE can not be converted to an Integer"),
        ({"MaxResults": 1.5}, "NUMBER_VALUE can not be converted to an Integer"),
        ({"MaxResults": True}, "TRUE_VALUE can not be converted to an Integer"),
        ({"MaxResults": 2**40}, "does not fit into 32 bits"),
        ({"NameContains": 5}, "NUMBER_VALUE can not be converted to a String"),
        ({"NameContains": ["a"]}, "START_ARRAY can not be converted to a String"),
        ({"NameContains": "\ud800"}, "half of a surrogate pair"),
        ({"CreationTimeAfter": "today"}, "STRING_VALUE can not be converted to a Timestamp"),
        ({"CreationTimeAfter": float("inf")}, "no time between the years 1 and 9999"),
        ({"CreationTimeAfter": 1e30}, "no time between the years 1 and 9999"),
    ],
)
def test_a_value_of_another_type_cannot_be_read(document: Any, text: str) -> None:
    """It is a SerializationException, as AWS tells types from constraints."""
    error = _refusal("ListTrainingJobs", document)

    assert error.code == "SerializationException"
    assert text in error.message


@pytest.mark.parametrize("weight", ["1e400", "-1e400", "1" + "0" * 400])
def test_a_number_beyond_a_double_is_refused(weight: str) -> None:
    """JSON allows any number of digits; no calculation may begin with an infinity."""
    change = {"VariantName": "A", "DesiredWeight": json.loads(weight)}
    error = _refusal(
        "UpdateEndpointWeightsAndCapacities", {"EndpointName": "e", "DesiredWeightsAndCapacities": [change]}
    )

    assert (error.code, error.message) == ("SerializationException", "The number does not fit into a Double")


def test_a_blob_is_base64() -> None:
    """Bytes travel as base64, and nothing else is taken."""
    shape = _RUNTIME.operation_model("InvokeEndpoint").input_shape

    assert read_document(shape, {"EndpointName": "e", "Body": "AAE="})["Body"] == b"\x00\x01"
    with pytest.raises(AwsError, match="not base64"):
        read_document(shape, {"EndpointName": "e", "Body": "not base64!"})


def test_the_length_of_a_blob_is_that_of_its_bytes() -> None:
    """Base64 makes a blob a third longer; the refusal of one that is too long shows no content."""
    shape = _RUNTIME.operation_model("InvokeEndpoint").input_shape
    most = 6_291_456

    assert len(read_document(shape, {"EndpointName": "e", "Body": _base64(most)})["Body"]) == most
    with pytest.raises(AwsError) as refusal:
        read_document(shape, {"EndpointName": "e", "Body": _base64(most + 1)})
    assert refusal.value.message == (
        f"1 validation error detected: Value '<{most + 1} bytes>' at 'body' failed to satisfy constraint: "
        f"Member must have length less than or equal to {most}"
    )


def test_a_refusal_stays_short_however_large_the_request_is() -> None:
    """Values are cut, and of many faults only the first are told, with the number of all."""
    long_value = _refusal("ListTrainingJobs", {"NameContains": "#" * 1_000_000}).message
    arn = "arn:aws:sagemaker:eu-west-1:123456789012:x"
    many_faults = _refusal("AddTags", {"ResourceArn": arn, "Tags": [{}] * 500}).message

    assert len(long_value) < 1000
    assert "#…' at 'nameContains'" in long_value
    assert many_faults.startswith("1001 validation errors detected: ")  # two for each tag, one for their number
    assert len(many_faults) < 20_000


def test_the_code_of_the_refusal_is_the_services_own() -> None:
    """SageMaker Runtime calls it ValidationError."""
    shape = _RUNTIME.operation_model("InvokeEndpoint").input_shape

    with pytest.raises(AwsError) as refusal:
        read_document(shape, {"EndpointName": "x" * 64, "Body": ""}, error_code="ValidationError")
    assert refusal.value.code == "ValidationError"


def test_a_union_takes_exactly_one_member() -> None:
    """Two alternatives at once, or none, are refused."""
    shape = _SAGEMAKER.shape_for("ScalingPolicy")
    assert shape.is_tagged_union

    for document in ({}, {"Other": 1}):
        with pytest.raises(AwsError, match="exactly one of"):
            read_document(shape, document)


def test_an_operation_without_input_takes_anything() -> None:
    """There is nothing to check."""
    assert read_document(None, {"a": 1}) == {}


@pytest.mark.parametrize("service", ["sagemaker", "sagemaker-runtime", "codebuild"])
def test_every_pattern_of_the_models_can_be_used(service: str) -> None:
    """Java's expressions, Unicode classes included, work here."""
    model = botocore.session.get_session().get_service_model(service)
    shapes = [model.shape_for(name) for name in model.shape_names]

    used = [scalar_faults(shape, "text") for shape in shapes if shape.type_name == "string" and not shape.enum]

    assert used


@given(st.text(max_size=70))
def test_names_are_taken_exactly_when_aws_takes_them(name: str) -> None:
    """Checked against a plain statement of the rule: letters, digits and inner hyphens, 1 to 63 of them."""
    allowed = (
        1 <= len(name) <= 63
        and all(c.isascii() and (c.isalnum() or c == "-") for c in name)
        and not name.startswith("-")
        and not name.endswith("-")
    )
    try:
        _read("DescribeTrainingJob", {"TrainingJobName": name})
        taken = True
    except AwsError:
        taken = False

    assert taken == allowed
