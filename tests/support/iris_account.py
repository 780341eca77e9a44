"""An account on a local AWS with the sample data, in which an image trains and serves by plain boto3."""

from __future__ import annotations

import io
import json
import tarfile
from typing import TYPE_CHECKING, Any

from local_stack.home import CHECKOUT
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tests.support.docker_cloud import DockerCloud

__all__ = ["BUCKET", "IRIS", "IrisAccount", "as_json", "epoch_losses", "known_flowers"]

BUCKET = "iris"
IRIS = CHECKOUT / "include" / "data" / "iris"
_METRICS = [
    {"Name": "train:loss", "Regex": "train_loss=([0-9.eE+-]+)"},
    {"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.eE+-]+)"},
]

_PARTITION = IRIS / "partitions" / "2026-01-01"
_ENDED = frozenset({"Completed", "Failed", "Stopped"})
_PATIENCE_SECONDS = 240.0
"""A job of several hosts imports torch on all of them at once, on a machine that others use as well."""


class IrisAccount:
    """The smallest Iris partition in S3, and short ways to train and to serve.

    :param cloud: a running local AWS with the Docker engine
    """

    def __init__(self, cloud: DockerCloud) -> None:
        self.cloud = cloud
        self.role_arn = cloud.role()
        self._s3 = cloud.client("s3")
        self._sagemaker = cloud.client("sagemaker")
        self._s3.create_bucket(Bucket=BUCKET)
        self.put("train", {file.name: file.read_text() for file in (_PARTITION / "train").iterdir()})
        self.put("validation", {file.name: file.read_text() for file in (_PARTITION / "validation").iterdir()})

    def put(self, prefix: str, files: Mapping[str, str]) -> None:
        """Put files below a prefix of the bucket."""
        for name, text in files.items():
            self._s3.put_object(Bucket=BUCKET, Key=f"{prefix}/{name}", Body=text.encode())

    def request(self, image: str, *, hosts: int = 1, train: str = "train", **hyperparameters: object) -> dict[str, Any]:
        """Return a CreateTrainingJob request without a name.

        :param train: prefix of the training channel; one that begins with ``sharded`` is dealt out to the hosts
        """
        given = {"label_column": "species", **hyperparameters}
        return {
            "RoleArn": self.role_arn,
            "AlgorithmSpecification": {
                "TrainingImage": image,
                "TrainingInputMode": "File",
                "MetricDefinitions": _METRICS,
            },
            "HyperParameters": {name: str(value) for name, value in given.items()},
            "InputDataConfig": [_channel("train", train), _channel("validation", "validation")],
            "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/out"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": hosts, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        }

    def start(self, name: str, request: Mapping[str, Any], **members: Any) -> None:
        """Create a training job; ``members`` are further ones of the request."""
        self._sagemaker.create_training_job(TrainingJobName=name, **request, **members)

    def finish(self, name: str) -> dict[str, Any]:
        """Return a job's description once it has ended."""

        def ended() -> dict[str, Any] | None:
            job: dict[str, Any] = self._sagemaker.describe_training_job(TrainingJobName=name)
            return job if job["TrainingJobStatus"] in _ENDED else None

        found: dict[str, Any] = wait_until(ended, f"{name} has ended", _PATIENCE_SECONDS)
        return found

    def train(self, name: str, request: Mapping[str, Any], **members: Any) -> dict[str, Any]:
        """Create a training job and return its description once it has completed."""
        self.start(name, request, **members)
        job = self.finish(name)
        assert job["TrainingJobStatus"] == "Completed", [job.get("FailureReason"), self.cloud.log(name)]
        return job

    def await_line(self, name: str, beginning: str) -> None:
        """Return when the leader's log has a line that begins so."""
        wait_until(
            lambda: any(line.startswith(beginning) for line in self.cloud.log(name)),
            f"{name} has written {beginning!r}",
            _PATIENCE_SECONDS,
        )

    def model_files(self, name: str) -> dict[str, bytes]:
        """Return the files of a job's ``model.tar.gz``: name → content."""
        body = self._s3.get_object(Bucket=BUCKET, Key=f"out/{name}/output/model.tar.gz")["Body"].read()
        with tarfile.open(fileobj=io.BytesIO(body)) as tar:
            files = {member.name: tar.extractfile(member) for member in tar.getmembers() if member.isfile()}
            return {path: file.read() for path, file in files.items() if file is not None}

    def keys(self, prefix: str) -> list[str]:
        """Return the keys below a prefix of the bucket."""
        return [entry["Key"] for entry in self._s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", ())]

    def deploy(self, name: str, image: str, job: str, **environment: str) -> None:
        """Serve a job's model under an endpoint; return when it is in service."""
        container = {"Image": image, "ModelDataUrl": f"s3://{BUCKET}/out/{job}/output/model.tar.gz"}
        self._sagemaker.create_model(
            ModelName=name, ExecutionRoleArn=self.role_arn, PrimaryContainer={**container, "Environment": environment}
        )
        variant = {"VariantName": "all", "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
        self._sagemaker.create_endpoint_config(EndpointConfigName=name, ProductionVariants=[variant])
        self._sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=name)

        def settled() -> dict[str, Any] | None:
            found: dict[str, Any] = self._sagemaker.describe_endpoint(EndpointName=name)
            return found if found["EndpointStatus"] != "Creating" else None

        endpoint = wait_until(settled, f"{name} is settled", _PATIENCE_SECONDS)
        assert endpoint["EndpointStatus"] == "InService", endpoint.get("FailureReason")

    def invoke(self, name: str, body: bytes, **options: str) -> str:
        """Return the text that an endpoint answers."""
        answer = self.cloud.client("sagemaker-runtime").invoke_endpoint(EndpointName=name, Body=body, **options)
        return str(answer["Body"].read().decode())

    def endpoint_log(self, name: str) -> list[str]:
        """Return the lines of all containers of an endpoint."""
        logs = self.cloud.client("logs")
        group = f"/aws/sagemaker/Endpoints/{name}"
        streams = logs.describe_log_streams(logGroupName=group)["logStreams"]
        answers = [
            logs.get_log_events(logGroupName=group, logStreamName=stream["logStreamName"], startFromHead=True)
            for stream in streams
        ]
        return [event["message"] for answer in answers for event in answer["events"]]

    def delete_endpoint(self, name: str) -> None:
        """Delete an endpoint; return when nothing of it is left in the engine."""
        self._sagemaker.delete_endpoint(EndpointName=name)
        wait_until(lambda: not [left for left in self.cloud.left() if "endpoint" in left], "its containers are gone")


def known_flowers() -> tuple[list[list[float]], list[str]]:
    """Return the measurements and the species of the 30 flowers that no partition has."""
    lines = [line.split(",") for line in (IRIS / "test" / "test.csv").read_text().splitlines()[1:]]
    return [[float(cell) for cell in line[:4]] for line in lines], [line[4] for line in lines]


def epoch_losses(lines: Iterable[str]) -> list[float]:
    """Return the training loss of every epoch in a log."""
    return [float(line.split("train_loss=")[1].split()[0]) for line in lines if line.startswith("epoch=")]


def as_json(rows: list[list[float]]) -> bytes:
    """Return a request body with a batch of rows."""
    return json.dumps({"instances": rows}).encode()


def _channel(name: str, prefix: str) -> dict[str, Any]:
    distribution = "ShardedByS3Key" if prefix.startswith("sharded") else "FullyReplicated"
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{BUCKET}/{prefix}/", "S3DataDistributionType": distribution}
    return {"ChannelName": name, "ContentType": "text/csv", "DataSource": {"S3DataSource": source}}
