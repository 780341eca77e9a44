"""What the tests that run on every engine need of a local AWS: images from one source, whatever runs them.

The source is a build context that both builders understand: a Dockerfile without RUN, and programs whose first line
makes them executable.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.local_cloud import LocalCloud
from tests.support.process_cloud import REGISTRY, ProcessCloud, wait_until
from tests.support.python_base import context

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.support.docker_cloud import DockerCloud

__all__ = ["DOCKERFILE", "BuiltCloud", "ImageCloud"]

DOCKERFILE = """\
ARG BASE_IMAGE=python:3.12-slim
FROM ${BASE_IMAGE}
ENV PATH="/opt/program:${PATH}"
WORKDIR /opt/program
COPY . .
"""


@dataclass
class BuiltCloud(LocalCloud):
    """A local AWS with the Docker engine, whose images a Docker engine builds.

    :param docker: where the images go
    :param base_image: what they are built on
    """

    docker: DockerCloud
    base_image: str

    @classmethod
    def of(cls, docker: DockerCloud, base_image: str) -> BuiltCloud:
        """Return the same local AWS as one whose images are built."""
        return cls(docker.endpoint_url, docker.region, docker.engine, docker.state_dir, docker, base_image)

    def push(self, repository: str, files: Mapping[str, str], tag: str = "v1") -> str:
        """Build an image of these files, push it and return its URI once ECR shows it."""
        ecr = self.client("ecr")
        if repository not in [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]:
            ecr.create_repository(repositoryName=repository)
        digest = self._build_and_push(f"{self.docker.registry}/{repository}:{tag}", files)

        def shown() -> bool:
            images = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
            return bool(images) and images[0]["imageId"]["imageDigest"] == digest

        wait_until(shown, f"ECR shows {digest}")
        return f"{REGISTRY}/{repository}:{tag}"

    def role(self, name: str, service: str) -> str:
        """Make a role that an AWS service may assume; return its ARN."""
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        arn: str = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        return arn

    def _build_and_push(self, name: str, files: Mapping[str, str]) -> str:
        api = self.docker.docker.api
        steps = list(
            api.build(
                fileobj=context(files),
                custom_context=True,
                tag=name,
                buildargs={"BASE_IMAGE": self.base_image},
                rm=True,
                forcerm=True,
                decode=True,
            )
        )
        steps += list(api.push(name, stream=True, decode=True))
        errors = [step["error"] for step in steps if "error" in step]
        assert not errors
        api.remove_image(name, force=True)
        (digest,) = [step["aux"]["Digest"] for step in steps if "Digest" in step.get("aux", {})]
        return str(digest)


ImageCloud = ProcessCloud | BuiltCloud
"""A local AWS into whose ECR a test can put images made of the same files."""
