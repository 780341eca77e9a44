"""A local AWS with the process engine inside the test process, and images small enough to build in a moment."""

from __future__ import annotations

import io
import json
import subprocess
import tarfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.assembly import Backing, LocalAws
from local_aws.codebuild.docker_tool import stand_in
from local_aws.codebuild.service import CodeBuildService
from local_aws.engine_process import ProcessEngine
from local_aws.image_store import BuildRequest, Image, ImageStore
from tests.support.local_cloud import LocalCloud

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from local_aws.cloud import Cloud

__all__ = [
    "DOCKERFILE",
    "REGISTRY",
    "ProcessCloud",
    "archive",
    "is_alive",
    "process_cloud",
    "wait_until",
    "write_context",
]

REGISTRY = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
DOCKERFILE = """\
FROM python:3.12-slim
ENV PATH="/opt/program:${PATH}"
WORKDIR /opt/program
COPY . .
RUN chmod 755 train serve
"""


@dataclass
class ProcessCloud(LocalCloud):
    """A running local AWS with what a test needs to put images and models into it.

    :param images: the store of the process engine
    :param cloud: the local AWS as its own services see it
    """

    images: ImageStore
    cloud: Cloud

    def push(self, repository: str, files: Mapping[str, str], tag: str = "v1") -> str:
        """Build an image of these files, put it into ECR and return its URI."""
        image = self.build(repository, files)
        ecr = self.client("ecr")
        if repository not in [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]:
            ecr.create_repository(repositoryName=repository)
        ecr.put_image(repositoryName=repository, imageManifest=image.manifest, imageDigest=image.digest, imageTag=tag)
        return f"{REGISTRY}/{repository}:{tag}"

    def build(self, name: str, files: Mapping[str, str]) -> Image:
        """Build an image of these files."""
        context = write_context(self.state_dir / "contexts" / f"{name}-{time.monotonic_ns()}", files)
        return self.images.build(BuildRequest(context), lambda _: None)

    def role(self, name: str, service: str) -> str:
        """Make a role that an AWS service may assume; return its ARN."""
        statement = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        arn: str = self.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=policy)["Role"]["Arn"]
        return arn


@contextmanager
def process_cloud(
    directory: Path, *, startup_timeout_seconds: float = 5.0, stop_grace_seconds: float = 120.0
) -> Iterator[ProcessCloud]:
    """Run a local AWS with the process engine on a free port until the block ends."""
    stores: list[ImageStore] = []
    engines: list[ProcessEngine] = []

    def make_backing(cloud: Cloud) -> Backing:
        stores.append(ImageStore(cloud.state_dir / "images", directory / "cache"))
        engines.append(ProcessEngine(cloud, stores[0]))
        return Backing(engines[0], [CodeBuildService(cloud, stand_in(stores[0]))])

    aws = LocalAws(
        make_backing,
        directory / "state",
        startup_timeout_seconds=startup_timeout_seconds,
        stop_grace_seconds=stop_grace_seconds,
    )
    with aws:
        cloud = aws.cloud
        yield ProcessCloud(cloud.endpoint_url, cloud.region, engines[0], cloud.state_dir, stores[0], cloud)


def write_context(directory: Path, files: Mapping[str, str]) -> Path:
    """Write a build context; it gets a Dockerfile and empty programs unless it has its own.

    A file whose first line names an interpreter is executable.
    """
    directory.mkdir(parents=True)
    for name, text in {"Dockerfile": DOCKERFILE, "train": "", "serve": "", **files}.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755 if text.startswith("#!") else 0o644)
    return directory


def archive(files: Mapping[str, bytes]) -> bytes:
    """Return a ``tar.gz`` of these files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def wait_until(condition: Callable[[], Any], what: str, seconds: float = 20.0) -> Any:
    """Return the condition's first true value; fail when it does not come in time."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            message = f"waited {seconds} s in vain until {what}"
            raise AssertionError(message)
        time.sleep(0.02)
    return value


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that has ended and was not asked for its exit code does not."""
    answer = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(answer.stdout.strip()) and not answer.stdout.strip().startswith("Z")
