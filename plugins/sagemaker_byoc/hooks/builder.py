"""The builders that there are, by name, and what they are told of base images.

Owns the table and who is asked about which base image; what a builder is stands in ``hooks.image``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_byoc.base_image import EcrImage
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.docker_build import DockerBuilder
from sagemaker_byoc.hooks.image import CodeBuildBuilder
from sagemaker_byoc.hooks.repository import ecr_bases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sagemaker_byoc.base_image import Bases
    from sagemaker_byoc.dockerfile import NamedImage
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.image import Builder, BuilderSettings

__all__ = ["BUILDERS", "find_bases", "make_builder"]

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


def find_bases(connection: AwsConnection, builder: Builder, images: Iterable[NamedImage]) -> Bases:
    """Find out what the base images are now; one that is pinned, or that the build does not need, does not count."""
    names = sorted({image.name for image in images if image.needed and not image.is_pinned})
    in_ecr = {name: image for name in names if (image := EcrImage.of(name))}
    return ecr_bases(connection, in_ecr) | builder.identify([name for name in names if name not in in_ecr])
