"""What the command ``docker`` is in builds: the real one, or the stand-in where there is no container engine.

Owns the programs' names and the variables by which they are told where things are. Must not know builds.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local_aws.registry.build_options import build_label

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.image_store import ImageStore

__all__ = ["DockerTool", "relay", "stand_in"]

_ENGINE_VARIABLES = ("DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH", "DOCKER_API_VERSION", "DOCKER_BUILDKIT")


@dataclass(frozen=True)
class DockerTool:
    """A program that builds find as ``docker``.

    :param module: what runs
    :param variables: of every command of a build
    """

    module: str
    variables: Mapping[str, str] = field(default_factory=dict)


def stand_in(images: ImageStore) -> DockerTool:
    """Return the program that makes images for the process engine.

    :param images: where it puts them
    """
    return DockerTool(
        "local_aws.codebuild.docker_stand_in",
        {"LOCAL_AWS_IMAGES": str(images.directory), "LOCAL_AWS_CACHE": str(images.cache_dir)},
    )


def relay(
    ecr_host: str, registry: str, build_options: Sequence[str] = (), *, registry_from_here: str | None = None
) -> DockerTool:
    """Return the program that hands over to the real ``docker``.

    :param ecr_host: ``<account>.dkr.ecr.<region>.amazonaws.com``
    :param registry: ``host:port`` behind which the engine finds what ECR's host stands for
    :param build_options: added to every ``docker build``
    :param registry_from_here: ``host:port`` at which builds reach it, when that is another
    """
    engine = {name: os.environ[name] for name in _ENGINE_VARIABLES if name in os.environ}
    return DockerTool(
        "local_aws.codebuild.docker_relay",
        {
            **engine,
            "LOCAL_AWS_ECR_HOST": ecr_host,
            "LOCAL_AWS_REGISTRY": registry,
            "LOCAL_AWS_REGISTRY_FROM_HERE": registry_from_here or registry,
            "LOCAL_AWS_DOCKER_BUILD_LABEL": build_label(build_options),
            "LOCAL_AWS_DOCKER_BUILD_OPTIONS": shlex.join(build_options),
        },
    )
