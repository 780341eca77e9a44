"""Puts CodeBuild's resources together into the one service that the gateway knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_aws.codebuild.builds import Builds
from local_aws.codebuild.project import Projects

if TYPE_CHECKING:
    from local_aws.cloud import Cloud
    from local_aws.codebuild.docker_tool import DockerTool
    from local_aws.service import Operation

__all__ = ["CodeBuildService"]


class CodeBuildService:
    """CodeBuild.

    :param cloud: where the other services are
    :param docker: what ``docker`` is in builds
    """

    service_name = "codebuild"

    def __init__(self, cloud: Cloud, docker: DockerTool) -> None:
        projects = Projects(cloud)
        self._builds = Builds(cloud, projects, docker)
        self.operations: dict[str, Operation] = {**projects.operations, **self._builds.operations}

    def start(self) -> None:
        """End the builds that an earlier life left running."""
        self._builds.reap()

    def close(self) -> None:
        """End every running build."""
        self._builds.close()
