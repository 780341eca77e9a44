"""ECR with a real registry as its data plane."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import botocore.exceptions
import pytest
import urllib3

from local_aws.registry.client import Registry
from tests.support.docker_cloud import docker_cloud, require_docker

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.docker_cloud import DockerCloud

SCRIPT = {"train": "#!/bin/sh\ntrue\n"}


def test_what_the_registry_kept_is_in_ecr_from_the_start(tmp_path: Path) -> None:
    """A second life shows repositories, tags and digests of the first, and a deleted image is gone from both."""
    require_docker()
    with docker_cloud(tmp_path) as first:
        for repository, tag in (("kept", "v1"), ("kept", "v2"), ("team/other", "v1"), ("emptied", "v1")):
            first.push(repository, {"train": f"#!/bin/sh\necho {repository} {tag}\n"}, tag=tag)
        ecr = first.client("ecr")
        ecr.batch_delete_image(repositoryName="kept", imageIds=[{"imageTag": "v2"}])
        ecr.delete_repository(repositoryName="emptied", force=True)
        digest = ecr.describe_images(repositoryName="kept")["imageDetails"][0]["imageDigest"]

    with docker_cloud(tmp_path) as second:
        ecr = second.client("ecr")
        repositories = {found["repositoryName"] for found in ecr.describe_repositories()["repositories"]}
        images = ecr.list_images(repositoryName="kept")["imageIds"]

    assert repositories == {"kept", "team/other"}
    assert images == [{"imageDigest": digest, "imageTag": "v1"}]


def test_a_deleted_image_can_be_pushed_again(cloud: DockerCloud) -> None:
    """The same content under the same tag is a new push, and ECR shows it."""
    ecr = cloud.client("ecr")
    cloud.push("again", SCRIPT)

    manifest = Registry(cloud.registry).manifest("again", "v1")
    assert manifest is not None

    ecr.batch_delete_image(repositoryName="again", imageIds=[{"imageTag": "v1"}])
    deleted = ecr.list_images(repositoryName="again")["imageIds"]
    url = f"http://{cloud.registry}/v2/again/manifests/v1"
    answer = urllib3.request("PUT", url, body=manifest.text, headers={"Content-Type": str(manifest.media_type)})
    shown = ecr.list_images(repositoryName="again")["imageIds"]

    assert (deleted, answer.status) == ([], 201)
    assert shown == [{"imageDigest": manifest.digest, "imageTag": "v1"}]


def test_an_image_that_was_pushed_by_digest_alone_is_found_by_it(cloud: DockerCloud) -> None:
    """The registry lists it nowhere, but has it."""
    ecr = cloud.client("ecr")
    digest = cloud.push_only("by-digest", SCRIPT)
    ecr.create_repository(repositoryName="by-digest")

    (image,) = ecr.describe_images(repositoryName="by-digest", imageIds=[{"imageDigest": digest}])["imageDetails"]

    assert image["imageDigest"] == digest
    assert "imageTags" not in image


def test_a_tag_that_cannot_be_moved_stays_where_it_was(cloud: DockerCloud, caplog: pytest.LogCaptureFixture) -> None:
    """The registry knows no such rule; ECR keeps it, and the log tells of the refusal once."""
    ecr = cloud.client("ecr")
    ecr.create_repository(repositoryName="immutable", imageTagMutability="IMMUTABLE")
    cloud.push("immutable", SCRIPT)
    moved = cloud.push_only("immutable", {"train": "#!/bin/sh\nfalse\n"})

    found = [ecr.describe_images(repositoryName="immutable")["imageDetails"] for _ in range(2)]

    assert moved not in [image["imageDigest"] for images in found for image in images]
    assert [message for message in caplog.messages if moved in message and "tag is immutable" in message] != []
    assert len([message for message in caplog.messages if moved in message]) == 1


def test_the_token_says_where_the_registry_is(cloud: DockerCloud) -> None:
    """An endpoint on loopback is how a builder learns that the images do not lie behind ECR's own name."""
    (data,) = cloud.client("ecr").get_authorization_token()["authorizationData"]

    assert data["proxyEndpoint"] == f"http://{cloud.registry}"
    assert base64.b64decode(data["authorizationToken"]).startswith(b"AWS:")


def test_a_registry_that_is_away_is_told_as_such(tmp_path: Path) -> None:
    """ECR answers with its own error code and says what to start."""
    require_docker()
    with docker_cloud(tmp_path, registry_runs=False) as cloud:
        with pytest.raises(botocore.exceptions.ClientError, match=rf"ServerException.*{cloud.registry}.*start it"):
            cloud.client("ecr").describe_repositories()
        assert cloud.client("s3").list_buckets()["Buckets"] == []


def test_a_catalog_of_several_pages_is_read_to_its_end(cloud: DockerCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Registries give a page at a time and name the next one in a header."""
    for number in range(3):
        cloud.push(f"page-{number}", SCRIPT)
    monkeypatch.setattr("local_aws.registry.client._PAGE", 2)

    assert {"page-0", "page-1", "page-2"} <= set(Registry(cloud.registry).repositories())
