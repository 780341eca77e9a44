"""Image URIs."""

from __future__ import annotations

import pytest

from local_aws.container import ContainerError
from local_aws.image_reference import ImageReference
from tests.support.process_cloud import REGISTRY

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("uri", "repository", "image_id"),
    [
        (f"{REGISTRY}/team/churn:v1", "team/churn", {"imageTag": "v1"}),
        (f"{REGISTRY}/churn", "churn", {"imageTag": "latest"}),
        (f"{REGISTRY}/churn@{DIGEST}", "churn", {"imageDigest": DIGEST}),
        (f"{REGISTRY}/churn:v1@{DIGEST}", "churn", {"imageDigest": DIGEST}),
        ("localhost:5000/churn:v1", "churn", {"imageTag": "v1"}),
    ],
)
def test_an_image_uri_is_taken_apart(uri: str, repository: str, image_id: dict[str, str]) -> None:
    """A digest wins over a tag, and no tag means latest."""
    reference = ImageReference.parse(uri)

    assert (reference.repository, reference.image_id) == (repository, image_id)


@pytest.mark.parametrize(
    "uri", ["churn", "churn:v1", f"{REGISTRY}/", f"{REGISTRY}/a@sha256:1", f"{REGISTRY}/A", "a b/c"]
)
def test_anything_else_is_refused_with_the_form_that_is_right(uri: str) -> None:
    """The message shows what was given and what is expected."""
    with pytest.raises(ContainerError, match=r"no image URI; expected <account>"):
        ImageReference.parse(uri)
