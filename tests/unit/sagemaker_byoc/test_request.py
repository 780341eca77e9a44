"""Requests, checked against botocore's own model of CreateTrainingJob."""

from __future__ import annotations

import copy
import functools
from typing import Any

import botocore.loaders
import botocore.model
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.request import as_flag, as_mapping, conform, read_mapping

GOOD: dict[str, Any] = {
    "TrainingJobName": "iris",
    "RoleArn": "arn:aws:iam::123456789012:role/SageMaker",
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://bucket/models"},
    "ResourceConfig": {"InstanceType": "ml.m5.2xlarge", "InstanceCount": 1, "VolumeSizeInGB": 75},
    "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
}


@functools.cache
def shape(operation: str = "CreateTrainingJob") -> Any:
    """Return botocore's input shape."""
    description = botocore.loaders.create_loader().load_service_model("sagemaker", "service-2")
    return botocore.model.ServiceModel(description).operation_model(operation).input_shape


def changed(path: str, value: Any) -> dict[str, Any]:
    """Return the good request with another value at the dotted path; Ellipsis takes the member away."""
    request = copy.deepcopy(GOOD)
    *parents, last = path.split(".")
    place = request
    for name in parents:
        place = place.setdefault(name, {})
    if value is ...:
        del place[last]
    else:
        place[last] = value
    return request


def refusal(request: dict[str, Any]) -> RequestError:
    """Return what is said against the request."""
    with pytest.raises(RequestError) as raised:
        conform(request, shape())
    return raised.value


def test_a_good_request_passes_unchanged() -> None:
    """What AWS takes is not touched."""
    assert conform(GOOD, shape()) == GOOD


@pytest.mark.parametrize(
    ("path", "given", "wanted"),
    [
        ("ResourceConfig.InstanceCount", "2", 2),
        ("ResourceConfig.InstanceCount", 2.0, 2),
        ("ResourceConfig.VolumeSizeInGB", " 75 ", 75),
        ("EnableNetworkIsolation", "True", True),
        ("EnableManagedSpotTraining", "false", False),
        (
            "HyperParameters",
            {"epochs": 5, "rate": 0.5, "shuffle": True},
            {"epochs": "5", "rate": "0.5", "shuffle": "true"},
        ),
        ("Environment", {"WORKERS": 2}, {"WORKERS": "2"}),
        ("VpcConfig", None, ...),
    ],
)
def test_templated_text_becomes_what_the_api_wants(path: str, given: Any, wanted: Any) -> None:
    """Digits become numbers, words truth values, scalars text in maps of text; None is left out."""
    assert conform(changed(path, given), shape()) == (GOOD if wanted is ... else changed(path, wanted))


@pytest.mark.parametrize(
    ("path", "given", "told"),
    [
        ("RoleArn", ..., ["config.RoleArn", "got None", "requires it"]),
        ("TrainingJobName", "x" * 70, ["config.TrainingJobName", "x" * 70, "1 to 63 characters, here are 70."]),
        ("TrainingJobName", "my_job", ["config.TrainingJobName", "'my_job'", "matches"]),
        ("RoleArn", "role", ["config.RoleArn", "'role'", "20 to 2048 characters"]),
        ("ResourceConfig.InstanceType", "m5.large", ["config.ResourceConfig.InstanceType", "'ml.m5.xlarge'"]),
        ("ResourceConfig.InstanceType", "ml.m5.2xlarg", ["Did you mean ml.m5.2xlarge", "values that boto3 knows"]),
        ("ResourceConfig.InstanceType", "ml.zz9.huge", ["a newer boto3"]),
        ("StoppingCondition.MaxRuntimeInSeconds", 0, ["MaxRuntimeInSeconds: got 0", "at least 1"]),
        ("ResourceConfig.InstanceCount", "many", ["'many'", "a whole number"]),
        ("ResourceConfig.InstanceCount", True, ["got True", "a whole number"]),
        ("ResourceConfig.InstanceCnt", 1, ["a member of ResourceConfig", "Did you mean InstanceCount"]),
        ("AlgorithmSpecification.TrainingInputMode", "file", ["one of Pipe, File, FastFile", "Did you mean File"]),
        ("EnableNetworkIsolation", "yes", ["'yes'", "true or false"]),
        ("OutputDataConfig", "s3://bucket", ["config.OutputDataConfig", "an object with the members"]),
        ("InputDataConfig", {"train": 1}, ["config.InputDataConfig", "a list"]),
        ("HyperParameters", ["a"], ["an object of names and values"]),
        ("HyperParameters", {"a": None}, ["config.HyperParameters.a", "got None", "text"]),
        ("HyperParameters", {"a" * 300: "b"}, ["the name", "0 to 256 characters"]),
        ("Tags", [{"Key": "a", "Value": "b"}] * 51, ["config.Tags", "0 to 50 items, here are 51"]),
    ],
)
def test_what_is_not_allowed_is_named(path: str, given: Any, told: list[str]) -> None:
    """The message holds the field as the user wrote it, what was given and what is allowed."""
    message = str(refusal(changed(path, given)))
    for text in told:
        assert text in message


def test_all_problems_are_told_at_once() -> None:
    """A user who made three mistakes does not have to run the task three times."""
    request = changed("RoleArn", ...)
    request["ResourceConfig"]["InstanceCount"] = "many"
    request["InputDataConfig"] = [{"ChannelName": "train"}]
    error = refusal(request)
    assert error.field in str(error)
    for field in ("config.RoleArn", "config.ResourceConfig.InstanceCount", "config.InputDataConfig[0].DataSource"):
        assert field in str(error)


def test_a_long_enum_is_not_printed_whole() -> None:
    """Hundreds of instance types would hide the message."""
    assert len(str(refusal(changed("ResourceConfig.InstanceType", "ml.m5.2xlarg")))) < 400


def test_the_given_request_is_left_as_it_is() -> None:
    """The DAG's own dict is used again by the next try."""
    request = changed("HyperParameters", {"epochs": 5})
    before = copy.deepcopy(request)
    conform(request, shape())
    assert request == before


def test_the_caller_names_the_field() -> None:
    """Other operators check other parameters of theirs."""
    with pytest.raises(RequestError, match=r"^update_config\.EndpointName"):
        conform({"EndpointConfigName": "a"}, shape("UpdateEndpoint"), field="update_config")


def test_a_pattern_that_only_java_understands_is_left_to_aws() -> None:
    r"""Tags have ``\p{L}`` in their pattern, which Python's ``re`` does not know; a good tag must pass."""
    request = changed("Tags", [{"Key": "équipe", "Value": "données"}])
    assert conform(request, shape())["Tags"] == request["Tags"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(sorted(shape().members)), inner),
        max_leaves=20,
    )
)
def test_anything_is_either_taken_or_refused_with_words(given: Any) -> None:
    """No input makes the check itself fall over, and a checked request passes again unchanged."""
    request = {**GOOD, **given} if isinstance(given, dict) else {**GOOD, "ResourceConfig": given}
    try:
        checked = conform(request, shape())
    except RequestError:
        return
    assert conform(checked, shape()) == checked


@pytest.mark.parametrize("given", ["{}", None, [1]])
def test_a_config_that_is_no_object_is_refused(given: Any) -> None:
    """A template in place of the whole config renders to text."""
    with pytest.raises(RequestError, match=r"config: got .*an object"):
        as_mapping(given, "config")


@pytest.mark.parametrize(
    ("given_flag", "flag"), [(True, True), ("True", True), (" false", False), ("", False), (None, False)]
)
def test_a_flag_may_come_from_a_form(given_flag: Any, flag: bool) -> None:
    """Templates render to text, and nothing is no."""
    assert as_flag(given_flag, "deploy_older") is flag


@pytest.mark.parametrize("given_flag", ["yes", 1, "None of these"])
def test_what_is_neither_true_nor_false_is_refused(given_flag: Any) -> None:
    """The message names the field."""
    with pytest.raises(RequestError, match=r"deploy_older: got .*; allowed is true or false"):
        as_flag(given_flag, "deploy_older")


def test_a_literal_is_refused_with_the_remedy() -> None:
    """The author learns the filter that was missing."""
    with pytest.raises(RequestError, match="tojson"):
        read_mapping("{'a': 1}", "deployment")
