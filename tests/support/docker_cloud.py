"""A local AWS with the Docker engine inside the test process, a registry beside it, and images of shell scripts."""

from __future__ import annotations

import io
import json
import os
import shutil
import socket
import subprocess
import tarfile
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest
import urllib3

from local_aws.assembly import LocalAws
from local_aws.backing import docker_backing
from local_aws.docker_engine.own_container import OwnContainer
from local_aws.engine_docker import DockerEngine, answers
from local_aws.registry.configuration import registry_configuration
from tests.support.local_cloud import LocalCloud
from tests.support.process_cloud import REGISTRY, archive, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from local_aws.assembly import Backing
    from local_aws.cloud import Cloud

__all__ = ["BUCKET", "DockerCloud", "docker_cloud", "require_docker", "running_registry"]

BUCKET = "docker-bucket"
_BUSYBOX = Path("/bin/busybox")
_APPLETS = "sh cat chown df grep head hostname id ip kill ls mkdir mount nc nslookup printf sleep tail tr wc"
_PATH = "/usr/local/bin:/bin"


def require_docker() -> None:
    """Skip unless there is all that these tests need; with REQUIRE_DOCKER=1 fail instead."""
    missing = [
        reason
        for reason, is_there in {
            "no Docker engine answers (set DOCKER_HOST or start dockerd)": answers(),
            "there is no docker-registry on PATH (apt-get install docker-registry)": shutil.which("docker-registry"),
            "there is no static /bin/busybox (apt-get install busybox-static)": _is_static(_BUSYBOX),
        }.items()
        if not is_there
    ]
    if missing and os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail("; ".join(missing))
    if missing:
        pytest.skip("; ".join(missing))


def _is_static(program: Path) -> bool:
    return program.is_file() and b"ld-linux" not in program.read_bytes()[:4096]


@dataclass
class DockerCloud(LocalCloud):
    """A running local AWS with what a test needs to put images, data and models into it.

    :param cloud: the local AWS as its own services see it
    :param registry: ``host:port`` of the registry
    :param docker: a client of the same Docker engine
    """

    cloud: Cloud
    registry: str
    docker: Any

    def push(self, repository: str, programs: Mapping[str, str], changes: Sequence[str] = (), tag: str = "v1") -> str:
        """Make an image of these shell scripts and push it; return its URI, which ECR knows at once.

        :param programs: name in ``/usr/local/bin`` → text
        :param changes: Dockerfile instructions, for example an ENTRYPOINT
        """
        ecr = self.client("ecr")
        if repository not in [found["repositoryName"] for found in ecr.describe_repositories()["repositories"]]:
            ecr.create_repository(repositoryName=repository)
        digest = self.push_only(repository, programs, changes, tag)
        (image,) = ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": tag}])["images"]
        assert image["imageId"]["imageDigest"] == digest
        return f"{REGISTRY}/{repository}:{tag}"

    def push_only(
        self, repository: str, programs: Mapping[str, str], changes: Sequence[str] = (), tag: str = "v1"
    ) -> str:
        """Make an image, push it to the registry and return the digest that the registry gave it."""
        name = f"{self.registry}/{repository}"
        answer = self.docker.api.import_image_from_data(
            _file_system(programs), repository=name, tag=tag, changes=[f"ENV PATH={_PATH}", *changes]
        )
        assert "sha256" in answer, answer
        steps = list(self.docker.api.push(name, tag=tag, stream=True, decode=True))
        errors = [step["error"] for step in steps if "error" in step]
        assert not errors
        self.docker.api.remove_image(f"{name}:{tag}", force=True)
        (digest,) = [step["aux"]["Digest"] for step in steps if "aux" in step]
        return str(digest)

    def role(self) -> str:
        """Make the role of jobs and models, once, and return its ARN."""
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "sagemaker.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        iam = self.client("iam")
        try:
            return str(iam.get_role(RoleName="docker")["Role"]["Arn"])
        except iam.exceptions.NoSuchEntityException:
            return str(iam.create_role(RoleName="docker", AssumeRolePolicyDocument=policy)["Role"]["Arn"])

    def create_job(self, name: str, image: str, hosts: int = 1, **algorithm: Any) -> None:
        """Create a training job with one channel, ``train``."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="data/a.csv", Body=b"1,2\n")
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/data/"}
        self.client("sagemaker").create_training_job(
            TrainingJobName=name,
            RoleArn=self.role(),
            HyperParameters={"epochs": "3"},
            Environment={"GREETING": "hello"},
            AlgorithmSpecification={"TrainingImage": image, "TrainingInputMode": "File", **algorithm},
            InputDataConfig=[{"ChannelName": "train", "DataSource": {"S3DataSource": source}}],
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/out"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 60},
        )

    def finish_job(self, name: str) -> dict[str, Any]:
        """Return a job's description once it has ended."""
        sagemaker = self.client("sagemaker")

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"} else None

        found: dict[str, Any] = wait_until(ended, f"{name} has ended", 60.0)
        return found

    def run_job(self, name: str, image: str, hosts: int = 1, **algorithm: Any) -> dict[str, Any]:
        """Create a training job and return its description once it has ended."""
        self.create_job(name, image, hosts, **algorithm)
        return self.finish_job(name)

    def log(self, name: str, host: str = "algo-1") -> list[str]:
        """Return the lines of a training host's log."""
        logs = self.client("logs")
        group = "/aws/sagemaker/TrainingJobs"
        try:
            streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/{host}-")["logStreams"]
        except logs.exceptions.ResourceNotFoundException:
            return []
        answers = [
            logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
            for stream in streams
        ]
        return [event["message"] for answer in answers for event in answer["events"]]

    def artifact(self, name: str) -> dict[str, str]:
        """Return the files of a job's ``model.tar.gz``: name → text."""
        body = self.client("s3").get_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
            return {file_name: file.read().decode() for file_name, file in files.items() if file is not None}

    def put_model(self, files: Mapping[str, bytes]) -> str:
        """Put model data into S3 and return its URI."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=BUCKET)
        s3.put_object(Bucket=BUCKET, Key="models/model.tar.gz", Body=archive(files))
        return f"s3://{BUCKET}/models/model.tar.gz"

    def left(self) -> list[str]:
        """Return the names of this local AWS's containers and networks in the engine."""
        selection = {"label": f"local-aws={self.docker_engine.label}"}
        containers = self.docker.api.containers(all=True, filters=selection)
        networks = self.docker.api.networks(filters=selection)
        return [item["Names"][0].lstrip("/") for item in containers] + [item["Name"] for item in networks]

    @property
    def docker_engine(self) -> DockerEngine:
        """The engine, as what it is."""
        assert isinstance(self.engine, DockerEngine)
        return self.engine


@contextmanager
def docker_cloud(
    directory: Path,
    *,
    owner: tuple[int, int] | None = None,
    build_options: Sequence[str] = (),
    registry_runs: bool = True,
    network: str | None = None,
) -> Iterator[DockerCloud]:
    """Run a local AWS with the Docker engine, and the registry that is its ECR's data plane, until the block ends.

    :param network: engine's id of the network on which the local AWS is, as if it ran in a container itself
    """
    registry = f"127.0.0.1:{_free_port()}"
    engines: list[DockerEngine] = []

    def make_backing(cloud: Cloud) -> Backing:
        own = OwnContainer({cloud.state_dir: cloud.state_dir}, network) if network else None
        engines.append(DockerEngine(cloud, registry, owner=owner, own=own))
        return docker_backing(cloud, engines[0], registry, build_options)

    client = docker.from_env()
    aws = LocalAws(make_backing, directory / "state", stop_grace_seconds=2.0, startup_timeout_seconds=20.0)
    with running_registry(directory, registry) if registry_runs else nullcontext(), aws:
        cloud = aws.cloud
        yield DockerCloud(cloud.endpoint_url, cloud.region, engines[0], cloud.state_dir, cloud, registry, client)
    for image in client.api.images():
        for name in [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())]:
            if name.startswith(f"{registry}/"):
                # The last of its tags takes an image's digest along.
                with suppress(docker.errors.ImageNotFound):
                    client.api.remove_image(name, force=True)
    client.close()


@contextmanager
def running_registry(directory: Path, address: str) -> Iterator[None]:
    """Run a registry at this address until the block ends; its content stays in the directory."""
    file = directory / "registry.json"
    file.write_text(registry_configuration(address, directory / "registry"))
    with (directory / "registry.log").open("w") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(file)], stdout=log, stderr=log)
        try:
            wait_until(lambda: _answers(address), "the registry answers")
            yield
        finally:
            process.terminate()
            process.wait()


def _answers(address: str) -> bool:
    try:
        return urllib3.request("GET", f"http://{address}/v2/", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _file_system(programs: Mapping[str, str]) -> bytes:
    """Return a tar archive of a root directory with busybox and these scripts."""
    files = {"bin/busybox": _BUSYBOX.read_bytes(), "etc/passwd": b"root:x:0:0:root:/:/bin/sh\n", "tmp/.keep": b""}
    files |= {f"usr/local/bin/{name}": text.encode() for name, text in programs.items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for applet in _APPLETS.split():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()
