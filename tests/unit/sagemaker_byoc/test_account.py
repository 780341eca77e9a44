"""What refers to what."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from sagemaker_byoc.account import Endpoint, EndpointConfig, Image, ImageUse, Model, package_images

THEN = datetime(2026, 1, 1, tzinfo=timezone.utc)
DIGEST = f"sha256:{1:064x}"
HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
IMAGE = Image("team/iris", DIGEST, ("ctx-1", "ctx-2"), THEN, THEN)


@pytest.mark.parametrize(
    "reference",
    [
        f"{HOST}/team/iris@{DIGEST}",
        f"{HOST}/team/iris:ctx-2",
        f"{HOST}/team/iris:v1@{DIGEST}",
        f"elsewhere.example/another@{DIGEST}",
        "127.0.0.1:5000/team/iris:ctx-1",
        f"@{DIGEST}",
    ],
)
def test_an_image_is_meant_by_digest_or_tag(reference: str) -> None:
    """Whatever the registry is called."""
    assert IMAGE in ImageUse([reference])


@pytest.mark.parametrize(
    "reference",
    [f"{HOST}/team/iris:ctx-3", f"{HOST}/iris:ctx-1", f"{HOST}/team/iris", f"{HOST}/team/iris@sha256:2"],
)
def test_another_image_is_not_meant(reference: str) -> None:
    """Another tag, another repository, the tag ``latest``, another digest."""
    assert IMAGE not in ImageUse([reference])


def test_no_tag_means_latest() -> None:
    """As for Docker."""
    assert Image("iris", DIGEST, ("latest",), THEN, THEN) in ImageUse([f"{HOST}/iris"])


def test_an_endpoint_refers_to_what_it_has_and_to_what_it_is_given() -> None:
    """Configurations, and the images of all variants as AWS resolved them."""
    described: dict[str, Any] = {
        "EndpointName": "iris",
        "EndpointArn": "arn",
        "EndpointStatus": "Updating",
        "LastModifiedTime": THEN,
        "EndpointConfigName": "live",
        "ProductionVariants": [
            {"VariantName": "a", "CurrentInstanceCount": 2, "DeployedImages": [{"ResolvedImage": "resolved"}]}
        ],
        "ShadowProductionVariants": [
            {"VariantName": "s", "CurrentInstanceCount": 1, "DeployedImages": [{"SpecifiedImage": "shadow"}]}
        ],
        "PendingDeploymentSummary": {
            "EndpointConfigName": "pending",
            "ProductionVariants": [{"VariantName": "a", "DeployedImages": [{"SpecifiedImage": "new"}]}],
        },
    }
    endpoint = Endpoint.of(described, {"project": "x"})
    assert endpoint.configs == ("live", "pending")
    assert set(endpoint.images) == {"resolved", "shadow", "new"}
    assert endpoint.counts == {"a": 2, "s": 1}


def test_inference_components_add_models_and_images() -> None:
    """Of one specification or of several."""
    deployed = {"DeployedImage": {"SpecifiedImage": "specified", "ResolvedImage": "resolved"}}
    described: list[dict[str, Any]] = [
        {"Specification": {"ModelName": "one"}},
        {"Specifications": [{"ModelName": "two"}, {"Container": deployed}]},
    ]
    endpoint = Endpoint("iris", "arn", "InService", THEN, images=("own",)).with_components(described)
    assert (endpoint.models, endpoint.images) == (("one", "two"), ("own", "specified", "resolved"))


def test_a_configuration_refers_to_the_models_of_shadow_variants_too() -> None:
    """And tells when a variant has none."""
    described: dict[str, Any] = {
        "EndpointConfigName": "c",
        "EndpointConfigArn": "arn",
        "CreationTime": THEN,
        "ProductionVariants": [{"VariantName": "a", "ModelName": "one", "InstanceType": "ml.m5.large"}],
        "ShadowProductionVariants": [{"VariantName": "s", "ModelName": "two"}],
    }
    config = EndpointConfig.of(described, {})
    assert (config.models, config.instance_types) == (("one", "two"), {"a": "ml.m5.large"})
    assert not config.has_components
    assert EndpointConfig.of({**described, "ProductionVariants": [{"VariantName": "a"}]}, {}).has_components


def test_a_model_refers_to_the_images_of_all_containers() -> None:
    """Or to the versions that these are made of."""
    described: dict[str, Any] = {
        "ModelName": "m",
        "ModelArn": "arn",
        "CreationTime": THEN,
        "PrimaryContainer": {"Image": "one"},
        "Containers": [{"Image": "two"}, {"ModelPackageName": "package"}],
    }
    model = Model.of(described, {})
    assert (model.images, model.packages) == (("one", "two"), ("package",))


def test_a_version_refers_to_images_by_name_and_by_digest() -> None:
    """In each of its specifications."""
    described = {
        "InferenceSpecification": {"Containers": [{"Image": "one", "ImageDigest": DIGEST}]},
        "AdditionalInferenceSpecifications": [{"Containers": [{"Image": "two"}]}],
    }
    use = ImageUse(package_images(described))
    assert package_images(described) == ["one", "two", f"one@{DIGEST}"]
    assert IMAGE in use
