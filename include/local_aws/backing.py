"""Chooses what runs containers, and puts together what comes with it.

Owns the names of the engines. Must not know how any of them works.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.assembly import Backing
from local_aws.codebuild.docker_tool import relay, stand_in
from local_aws.codebuild.service import CodeBuildService
from local_aws.engine_process import ProcessEngine
from local_aws.image_store import ImageStore
from local_aws.registry.client import Registry
from local_aws.registry.front import EcrFront
from local_aws.registry.mirror import Mirror

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.container import Engine

__all__ = ["ENGINES", "DockerSettings", "EngineError", "docker_backing", "make_backing"]

ENGINES = ("process", "docker", "auto")


class EngineError(Exception):
    """The engine that was asked for is not there."""


@dataclass(frozen=True)
class DockerSettings:
    """How the Docker engine is used.

    :param registry: ``host:port`` of the registry from which the engine pulls, ECR's data plane
    :param build_options: added to every ``docker build`` of CodeBuild
    :param memory_bytes: what each container may use before the kernel kills it; None for all of the machine's
    :param registry_from_here: ``host:port`` at which this process reaches the registry, when that is another
    """

    registry: str
    build_options: Sequence[str] = ()
    memory_bytes: int | None = None
    registry_from_here: str | None = None


def make_backing(engine: str, cloud: Cloud, cache_dir: Path, docker: DockerSettings) -> Backing:
    """Return the engine with its services.

    :param engine: one of ``ENGINES``; ``auto`` takes Docker when an engine answers
    :param docker: for the Docker engine alone
    :raises EngineError: when Docker is asked for and no engine answers or it cannot be used from where this runs, or a
        memory limit without Docker
    """
    if engine == "docker" or (engine == "auto" and _docker_silence() is None):
        return docker_backing(cloud, _docker(cloud, docker), docker)
    if docker.memory_bytes is not None:
        message = (
            "the process engine cannot limit the memory of containers; leave --container-memory-mb out, "
            "or give --engine docker"
        )
        raise EngineError(message)
    images = ImageStore(cloud.state_dir / "images", cache_dir)
    return Backing(ProcessEngine(cloud, images), [CodeBuildService(cloud, stand_in(images))])


def docker_backing(cloud: Cloud, engine: Engine, docker: DockerSettings) -> Backing:
    """Return an engine that pulls from a registry, with the ECR and the CodeBuild that belong to it."""
    tool = relay(cloud.ecr_host, docker.registry, docker.build_options, registry_from_here=docker.registry_from_here)
    mirror = Mirror(cloud, Registry(docker.registry_from_here or docker.registry), docker.build_options)
    return Backing(
        engine,
        [CodeBuildService(cloud, tool)],
        lambda moto: EcrFront(moto, mirror, docker.registry),
    )


def _docker(cloud: Cloud, docker: DockerSettings) -> Engine:
    reason = _docker_silence()
    if reason is not None:
        message = f"{reason}; --engine process needs none"
        raise EngineError(message)
    # Imported only where it is wanted: the package behind it takes a quarter of a second.
    from local_aws.docker_engine.file_owner import owner_of_files
    from local_aws.docker_engine.own_container import OwnContainerError
    from local_aws.engine_docker import DockerEngine, own_container

    try:
        return DockerEngine(
            cloud, docker.registry, owner=owner_of_files(), own=own_container(), memory_bytes=docker.memory_bytes
        )
    except OwnContainerError as error:
        raise EngineError(str(error)) from error


def _docker_silence() -> str | None:
    """Return why Docker cannot be used; None when it can."""
    if importlib.util.find_spec("docker") is None:
        return "the Python package 'docker', through which an engine answers, is missing"
    from local_aws.engine_docker import silence

    return silence()
