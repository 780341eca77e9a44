"""Puts an image of the process engine into ECR.

Owns the call of PutImage and Docker's words for its refusals. Must not know where the image's files are: they stay
where the engine finds them by digest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import botocore.exceptions

if TYPE_CHECKING:
    from local_aws.image_reference import ImageReference
    from local_aws.image_store import Image

__all__ = ["PushError", "push_image"]

_TAG_TAKEN = frozenset({"ImageAlreadyExistsException", "ImageTagAlreadyExistsException"})


class PushError(Exception):
    """ECR does not take the image."""


def push_image(reference: ImageReference, image: Image) -> None:
    """Make the tag of ``reference`` name the image.

    :raises PushError: when there is no such repository or its tags cannot be changed
    """
    ecr = boto3.client("ecr", config=botocore.config.Config(proxies={}))
    before = _tagged(ecr, reference)
    if before and before["imageId"]["imageDigest"] == image.digest:
        return
    try:
        ecr.put_image(
            repositoryName=reference.repository,
            imageManifest=image.manifest,
            imageDigest=image.digest,
            imageTag=reference.tag,
        )
    except botocore.exceptions.ClientError as error:
        raise _refusal(reference, error) from error
    if before:
        _keep_untagged(ecr, reference, before)


def _tagged(ecr: Any, reference: ImageReference) -> dict[str, Any] | None:
    try:
        answer = ecr.batch_get_image(repositoryName=reference.repository, imageIds=[{"imageTag": reference.tag}])
    except botocore.exceptions.ClientError as error:
        raise _refusal(reference, error) from error
    return answer["images"][0] if answer["images"] else None


def _keep_untagged(ecr: Any, reference: ImageReference, before: dict[str, Any]) -> None:
    """Put the image that had the tag back without one: ECR keeps it, moto deletes it."""
    digest = before["imageId"]["imageDigest"]
    known = ecr.batch_get_image(repositoryName=reference.repository, imageIds=[{"imageDigest": digest}])
    if not known["images"]:
        ecr.put_image(repositoryName=reference.repository, imageManifest=before["imageManifest"], imageDigest=digest)


def _refusal(reference: ImageReference, error: botocore.exceptions.ClientError) -> PushError:
    code = error.response["Error"]["Code"]
    if code == "RepositoryNotFoundException":
        registry = reference.registry.partition(".")[0]
        return PushError(
            f"name unknown: The repository with name '{reference.repository}' does not exist in the registry with id "
            f"'{registry}'"
        )
    if code in _TAG_TAKEN:
        return PushError(
            f"tag invalid: The image tag '{reference.tag}' already exists in the '{reference.repository}' repository "
            "and cannot be overwritten because the tag is immutable."
        )
    return PushError(f"{code}: {error.response['Error']['Message']}")
