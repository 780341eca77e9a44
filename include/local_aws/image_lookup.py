"""Which image a URI names, as ECR knows it now.

Owns the question to ECR that every engine asks. Must not know where an image's content is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from local_aws.container import ContainerError
from local_aws.image_reference import ImageReference

if TYPE_CHECKING:
    from local_aws.cloud import Cloud

__all__ = ["look_up"]


def look_up(cloud: Cloud, image: str) -> ImageReference:
    """Return the image pinned by its digest.

    :param image: image URI by tag or by digest
    :raises ContainerError: when it is no image URI, in another registry, or ECR has no such image
    """
    reference = ImageReference.parse(image)
    _refuse_elsewhere(cloud, reference, image)
    try:
        answer = cloud.client("ecr").describe_images(repositoryName=reference.repository, imageIds=[reference.image_id])
    except (BotoCoreError, ClientError) as error:
        message = f"there is no image {image}: {' '.join(str(error).split())}"
        raise ContainerError(message) from error
    return reference.pinned_to(answer["imageDetails"][0]["imageDigest"])


def _refuse_elsewhere(cloud: Cloud, reference: ImageReference, image: str) -> None:
    """Let no image of another account or region pass for the one of the same name here."""
    here = cloud.ecr_host
    if reference.registry not in {here, f"{here}.cn"}:
        message = (
            f"there is no image {image}: the registry {reference.registry} is not that of this account and "
            f"region, {here}; push the image there"
        )
        raise ContainerError(message)
