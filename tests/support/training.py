"""An account on a local AWS in which training jobs can run, and short ways to run them."""

from __future__ import annotations

import io
import itertools
import json
import tarfile
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.support.fake_engine import FakeEngine
from tests.support.image_cloud import DOCKERFILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.image_cloud import ImageCloud
    from tests.support.local_cloud import LocalCloud

__all__ = ["BUCKET", "BuiltTrainingAccount", "TrainingAccount", "wait_for"]

BUCKET = "training-bucket"

_PREAMBLE = """\
import json, os, pathlib, signal, sys, time
base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
model = base / "model"
config = json.loads((base / "input/config/resourceconfig.json").read_text())
host = config["current_host"]
"""

_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def wait_for(condition: Callable[[], Any], *, timeout_seconds: float = 20.0) -> Any:
    """Return the condition's first true value; fail when none comes in time."""
    deadline = time.monotonic() + timeout_seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            message = f"nothing came within {timeout_seconds} s"
            raise AssertionError(message)
        time.sleep(0.02)
    return value


@dataclass
class TrainingAccount:
    """A bucket, a role and images on a local AWS with the fake engine.

    :param cloud: where the account is
    """

    cloud: LocalCloud
    role_arn: str = ""
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.s3 = self.cloud.client("s3")
        self.sagemaker = self.cloud.client("sagemaker")
        self.logs = self.cloud.client("logs")
        self.s3.create_bucket(Bucket=BUCKET)
        self.role_arn = self.make_role("training", _TRUST)
        self.put({"data/train/a.csv": "1,2\n"})

    def make_role(self, name: str, trust: dict[str, Any]) -> str:
        """Create an IAM role and return its ARN."""
        created = self.cloud.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        return str(created["Role"]["Arn"])

    def put(self, objects: dict[str, str]) -> None:
        """Write objects: key → text."""
        for key, text in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode())

    def image(self, program: str) -> str:
        """Make an image whose program is this Python text; it knows ``base``, ``model``, ``config`` and ``host``."""
        uri = f"123456789012.dkr.ecr.us-east-1.amazonaws.com/test:{next(self._numbers)}"
        engine = self.cloud.engine
        assert isinstance(engine, FakeEngine)
        engine.programs[uri] = _PREAMBLE + program
        return uri

    def channel(self, name: str, prefix: str, **changes: Any) -> dict[str, Any]:
        """Return a channel of an S3 prefix; changes go into its S3DataSource when they begin with S3."""
        source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}"}
        source.update({key: value for key, value in changes.items() if key.startswith("S3")})
        others = {key: value for key, value in changes.items() if not key.startswith("S3")}
        return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **others}

    def request(self, program: str = "", **changes: Any) -> dict[str, Any]:
        """Return a CreateTrainingJob request; a change to None takes the member away."""
        request: dict[str, Any] = {
            "TrainingJobName": f"job-{next(self._numbers)}",
            "RoleArn": self.role_arn,
            "AlgorithmSpecification": {"TrainingImage": self.image(program), "TrainingInputMode": "File"},
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        }
        algorithm = changes.pop("algorithm", {})
        request.update(changes)
        request["AlgorithmSpecification"].update(algorithm)
        return {key: value for key, value in request.items() if value is not None}

    def create(self, program: str = "", **changes: Any) -> str:
        """Create a job and return its name."""
        request = self.request(program, **changes)
        self.sagemaker.create_training_job(**request)
        return str(request["TrainingJobName"])

    def describe(self, name: str) -> dict[str, Any]:
        """Return the answer of DescribeTrainingJob."""
        answer: dict[str, Any] = self.sagemaker.describe_training_job(TrainingJobName=name)
        return answer

    def finish(self, name: str) -> dict[str, Any]:
        """Wait until a job has ended and return its description."""

        def ended() -> dict[str, Any] | None:
            answer = self.describe(name)
            return answer if answer["TrainingJobStatus"] in {"Completed", "Failed", "Stopped"} else None

        found: dict[str, Any] = wait_for(ended, timeout_seconds=60.0)
        return found

    def run(self, program: str = "", **changes: Any) -> dict[str, Any]:
        """Create a job, wait until it has ended and return its description."""
        return self.finish(self.create(program, **changes))

    def log(self, name: str, host: str = "algo-1") -> list[str]:
        """Return the lines of a host's log."""
        group = "/aws/sagemaker/TrainingJobs"
        try:
            streams = self.logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{name}/{host}-")
        except self.logs.exceptions.ResourceNotFoundException:
            return []
        lines = []
        for stream in streams["logStreams"]:
            events = self.logs.get_log_events(
                logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True
            )
            lines += [event["message"] for event in events["events"]]
        return lines

    def keys(self, prefix: str) -> list[str]:
        """Return the keys of the bucket below a prefix."""
        answer = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return [item["Key"] for item in answer.get("Contents", ())]

    def text(self, key: str) -> str:
        """Return an object's text."""
        return str(self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read().decode())

    def archive(self, key: str) -> dict[str, str]:
        """Return the files of a tar archive in S3: name → text."""
        data = self.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            return {
                member.name: file.read().decode()
                for member in tar.getmembers()
                if (file := tar.extractfile(member)) is not None
            }


@dataclass
class BuiltTrainingAccount(TrainingAccount):
    """An account on a local AWS with a real engine; equal programs share an image."""

    cloud: ImageCloud
    _built: dict[str, str] = field(default_factory=dict)

    def image(self, program: str) -> str:
        """Build an image whose ``train`` is this Python text and return its URI."""
        return self.image_of({"train": f"#!/usr/bin/env python3\n{_PREAMBLE}{program}\n"})

    def image_of(self, files: dict[str, str]) -> str:
        """Build an image of these files and return its URI."""
        content = json.dumps(files)
        if content not in self._built:
            self._built[content] = self.cloud.push(
                "training", {"Dockerfile": DOCKERFILE, **files}, f"v{next(self._numbers)}"
            )
        return self._built[content]
