"""A local AWS with the Docker engine inside the test process, a registry beside it, and images of shell scripts."""

from __future__ import annotations

import io
import json
import tarfile
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import docker

from local_aws.assembly import LocalAws
from local_aws.backing import DockerSettings, docker_backing
from local_aws.docker_engine.own_container import OwnContainer
from local_aws.engine_docker import DockerEngine
from tests.support.docker_registry import busybox_root, free_address, registry, remove_images, require_docker
from tests.support.local_cloud import LocalCloud
from tests.support.process_cloud import REGISTRY, archive, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from local_aws.assembly import Backing
    from local_aws.cloud import Cloud

__all__ = ["BUCKET", "STOP_GRACE_SECONDS", "DockerCloud", "docker_cloud", "require_docker"]

BUCKET = "docker-bucket"
STOP_GRACE_SECONDS = 1.0
"""Between SIGTERM and SIGKILL of a training job; AWS waits two minutes."""
_PATH = "/usr/local/bin:/bin"


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
            busybox_root(programs), repository=name, tag=tag, changes=[f"ENV PATH={_PATH}", *changes]
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
    stop_grace_seconds: float = STOP_GRACE_SECONDS,
    startup_timeout_seconds: float = 20.0,
    network: str | None = None,
) -> Iterator[DockerCloud]:
    """Run a local AWS with the Docker engine, and the registry that is its ECR's data plane, until the block ends.

    :param network: engine's id of the network on which the local AWS is, as if it ran in a container itself
    """
    registry_address = free_address()
    engines: list[DockerEngine] = []

    def make_backing(cloud: Cloud) -> Backing:
        own = OwnContainer({cloud.state_dir: cloud.state_dir}, network) if network else None
        engines.append(DockerEngine(cloud, registry_address, owner=owner, own=own))
        return docker_backing(cloud, engines[0], DockerSettings(registry_address, build_options))

    aws = LocalAws(
        make_backing,
        directory / "state",
        stop_grace_seconds=stop_grace_seconds,
        startup_timeout_seconds=startup_timeout_seconds,
    )
    client = docker.from_env()
    try:
        with registry(directory, registry_address) if registry_runs else nullcontext(), aws:
            cloud = aws.cloud
            yield DockerCloud(
                cloud.endpoint_url, cloud.region, engines[0], cloud.state_dir, cloud, registry_address, client
            )
    finally:
        remove_images(client, f"{registry_address}/")
        client.close()
