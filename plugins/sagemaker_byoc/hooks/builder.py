"""The builders that there are, by name, and what they are told of base images.

Owns the table and who is asked about which base image; what a builder is stands in ``hooks.image``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from sagemaker_byoc.base_image import EcrImage
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.docker_build import DockerBuilder
from sagemaker_byoc.hooks.image import CodeBuildBuilder
from sagemaker_byoc.hooks.repository import ecr_bases

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagemaker_byoc.base_image import Bases
    from sagemaker_byoc.build_context import BuildContext
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.image import Builder, BuilderSettings

__all__ = ["BUILDERS", "find_bases", "make_builder"]

log = logging.getLogger(__name__)

BUILDERS: Mapping[str, Callable[[AwsConnection, BuilderSettings], Builder]] = {
    "codebuild": CodeBuildBuilder,
    "docker": DockerBuilder,
}
"""The builders, by the word that the operator takes."""


def make_builder(name: str, connection: AwsConnection, settings: BuilderSettings) -> Builder:
    """Return the builder of that name.

    :raises RequestError: there is none, or the settings lack what it needs
    """
    if name not in BUILDERS:
        available = ", ".join(map(repr, sorted(BUILDERS)))
        raise RequestError("builder", name, available, "This version has no other builder.")
    return BUILDERS[name](connection, settings)


def find_bases(connection: AwsConnection, builder: Builder, context: BuildContext) -> Bases:
    """Find out what the base images are now; one that is pinned, or that the build does not need, does not count."""
    for line in context.unread_images:
        log.info("A newer image is not noticed where only the builder can tell which one it is: %s", line)
    names = sorted({image.name for image in context.base_images if image.needed and not image.is_pinned})
    in_ecr = {name: image for name in names if (image := EcrImage.of(name))}
    return ecr_bases(connection, in_ecr) | builder.identify([name for name in names if name not in in_ecr])
