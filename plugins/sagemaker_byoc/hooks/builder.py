"""The builders that there are, by name.

Owns the table and nothing else; what a builder is stands in ``hooks.image``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.docker_build import DockerBuilder
from sagemaker_byoc.hooks.image import CodeBuildBuilder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.image import Builder, BuilderSettings

__all__ = ["BUILDERS", "make_builder"]

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
