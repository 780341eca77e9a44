"""Puts an image into ECR.

Owns the calls that make ECR know a manifest and a tag, and Docker's words for its refusals. Must not know where the
image's files are: they stay where the engine finds them by digest.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions

if TYPE_CHECKING:
    from local_aws.image_reference import ImageReference

__all__ = ["Manifest", "PushError", "push_image"]

_TAG_TAKEN = frozenset({"ImageAlreadyExistsException", "ImageTagAlreadyExistsException"})


class PushError(Exception):
    """ECR does not take the image."""


@dataclass(frozen=True)
class Manifest:
    """An image manifest as a registry has it.

    :param text: what the digest is the hash of
    :param digest: ``sha256:`` and 64 hexadecimal digits
    :param media_type: for manifests that do not say theirs, as OCI allows
    """

    text: str
    digest: str
    media_type: str | None = None


def push_image(ecr: Any, reference: ImageReference, manifest: Manifest) -> None:
    """Make ECR know the image, and its tag, if ``reference`` has one, name it.

    :param ecr: boto3 client
    :raises PushError: when there is no such repository or its tags cannot be changed
    """
    before = _find(ecr, reference, {"imageTag": reference.tag} if reference.tag else {"imageDigest": manifest.digest})
    if before and before["imageId"]["imageDigest"] == manifest.digest:
        return
    try:
        ecr.put_image(
            repositoryName=reference.repository,
            imageManifest=manifest.text,
            imageDigest=manifest.digest,
            **({"imageTag": reference.tag} if reference.tag else {}),
            **({"imageManifestMediaType": manifest.media_type} if manifest.media_type else {}),
        )
    except botocore.exceptions.ClientError as error:
        raise _refusal(reference, error) from error
    if before:
        _keep_untagged(ecr, reference, before)


def _find(ecr: Any, reference: ImageReference, image_id: dict[str, str]) -> dict[str, Any] | None:
    try:
        answer = ecr.batch_get_image(repositoryName=reference.repository, imageIds=[image_id])
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
