"""What a version of the model registry is made of, and how it is read."""

from __future__ import annotations

import re
from typing import Any

import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.model_package import (
    ModelPackage,
    client_token,
    group_name,
    inference_specification,
    package_arn,
    properties,
)

ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model-package/iris/3"
JOB = {"image_uri": "registry/iris@sha256:1f", "model_artifacts": "s3://bucket/model.tar.gz"}


def package(**kept: str) -> ModelPackage:
    """Read a version with these properties."""
    description = {"ModelPackageArn": ARN, "ModelPackageVersion": 3, "ModelApprovalStatus": "Approved"}
    return ModelPackage.of({**description, "CustomerMetadataProperties": kept})


def test_metrics_come_back_as_they_were_kept() -> None:
    """Writing and reading agree, also where a name has characters that AWS does not take."""
    metrics = {"validation:accuracy": 0.973333, "f1 (macro), %": 1e-07}
    read = package(**properties({}, {"training_job": "iris-1"}, metrics))
    assert {name: read.metrics_as(metrics)[name] for name in metrics} == metrics
    assert read.is_of_job("iris-1")
    assert not read.is_of_job("iris-2")


def test_properties_of_others_are_no_metrics() -> None:
    """A version that another program registered is read, too."""
    read = package(**{"metric:note": "good", "team": "flowers"})
    assert (read.metrics, read.training_job) == ({}, "")


def test_no_more_properties_than_aws_takes() -> None:
    """The user's own come first, then the lineage, then as many metrics as fit beside those of a held-out set."""
    metrics = {f"m{number}": 1.0 for number in range(100)}
    kept = properties({"team": "flowers", "training_job": "mine"}, {"training_job": "iris-1", "x": "y"}, metrics)
    assert len(kept) == 47
    assert list(kept)[:3] == ["team", "training_job", "x"]
    assert kept["training_job"] == "mine"


def test_metrics_of_a_held_out_set_count_for_that_set_only() -> None:
    """Those of another set are about other questions."""
    read = package(**{"held_out_digest": "sha256:1", "metric:held_out:accuracy": "0.5", "metric:loss": "0.1"})
    both = {"held_out:accuracy": 0.5, "loss": 0.1}
    assert read.metrics_as(both, "sha256:1") == both
    assert read.metrics_as(both, "sha256:2") == {"loss": 0.1}
    assert read.metrics_as(both) == {"loss": 0.1}
    assert package(**{"metric:held_out:accuracy": "0.5"}).metrics_as(both, "") == {}


def test_a_held_out_set_takes_the_place_of_another() -> None:
    """Everything else that is kept stays, whether an update replaces the properties or adds to them."""
    old = {"metric:held_out:accuracy": "0.5", "metric:held_out:mean_absolute_error": "2.0"}
    request = package(team="flowers", held_out_digest="sha256:1", **old).with_held_out(
        "sha256:2", {"held_out:accuracy": 0.25}
    )
    assert request == {
        "ModelPackageArn": ARN,
        "CustomerMetadataProperties": {
            "team": "flowers",
            "held_out_digest": "sha256:2",
            "metric:held_out:accuracy": "0.25",
        },
        "CustomerMetadataPropertiesToRemove": ["metric:held_out:mean_absolute_error"],
    }


def test_a_version_without_room_keeps_what_it_has() -> None:
    """AWS takes 50 properties."""
    full = {f"fact{number}": "x" for number in range(49)}
    assert package(**full).with_held_out("sha256:1", {"held_out:accuracy": 1.0}) is None


def test_a_version_of_several_containers_becomes_a_model_of_several() -> None:
    """Then nothing is taken from the other model but role, network and isolation."""
    containers = [{"Image": "a", "ModelDataUrl": "s3://b/1", "ImageDigest": "sha256:1"}, {"Image": "b"}]
    description = {"ModelPackageArn": ARN, "InferenceSpecification": {"Containers": containers}}
    other = {"ExecutionRoleArn": "role", "EnableNetworkIsolation": True, "PrimaryContainer": {"Mode": "SingleModel"}}
    assert ModelPackage.of(description).model_like(other) == {
        "ExecutionRoleArn": "role",
        "EnableNetworkIsolation": True,
        "Containers": [{"Image": "a", "ModelDataUrl": "s3://b/1"}, {"Image": "b"}],
    }


def test_texts_are_cut_and_cleaned() -> None:
    """A key has at most 128 characters, a value 256, and none that the registry does not take."""
    [(key, value)] = properties({}, {"data:" + "x" * 200: "s3://bucket/a,b\n" + "y" * 300}, {}).items()
    assert len(key) == 128
    assert value.startswith("s3://bucket/a_b_y")
    assert len(value) == 256


def test_the_container_is_the_jobs_unless_one_is_given() -> None:
    """Image and artifact of the job, the digest beside them; the user's own container is left alone."""
    own = {"Containers": [{"Image": "mine"}]}
    assert inference_specification(own, JOB) == own
    filled = inference_specification({"SupportedContentTypes": ["text/csv"]}, JOB)
    container = {
        "Image": "registry/iris@sha256:1f",
        "ModelDataUrl": "s3://bucket/model.tar.gz",
        "ImageDigest": "sha256:1f",
    }
    assert filled == {"SupportedContentTypes": ["text/csv"], "Containers": [container]}
    assert "ImageDigest" not in inference_specification({}, JOB | {"image_uri": "registry/iris:v1"})["Containers"][0]


def test_a_token_is_one_that_aws_takes() -> None:
    """The same for the same job and group, another for any other; at most 36 letters, digits and hyphens."""
    token = client_token("iris", "iris-1")
    assert re.fullmatch(r"[a-zA-Z0-9-]{1,36}", token)
    assert client_token("iris", "iris-1") == token
    assert len({token, client_token("iris", "iris-2"), client_token("other", "iris-1")}) == 3


@pytest.mark.parametrize(("given", "name"), [(None, ""), ("", ""), (" ", ""), ("None", ""), (" iris ", "iris")])
def test_a_group_that_was_left_out_is_empty(given: Any, name: str) -> None:
    """A template makes ``None`` of nothing."""
    assert group_name(given) == name


def test_a_group_that_is_no_text_is_refused() -> None:
    """A list or a number is a mistake, and no reason to skip."""
    with pytest.raises(RequestError, match="model_package_group: got 7"):
        group_name(7)


def test_a_version_is_given_by_its_arn_or_by_its_tasks_result() -> None:
    """Anything else is refused before AWS is asked."""
    assert package_arn(ARN) == package_arn({"model_package_arn": ARN}) == ARN
    for wrong in (None, "iris/3", {"arn": ARN}):
        with pytest.raises(RequestError, match="model_package: got"):
            package_arn(wrong)
