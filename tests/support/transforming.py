"""Short ways to run transform jobs in a hosting account."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.hosting import BUCKET, HostingAccount
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

__all__ = ["LOG_GROUP", "TransformAccount"]

LOG_GROUP = "/aws/sagemaker/TransformJobs"


@dataclass
class TransformAccount:
    """The way from input objects to output objects.

    :param hosting: the account that has the models
    """

    hosting: HostingAccount

    def __post_init__(self) -> None:
        self.sagemaker = self.hosting.sagemaker
        self.s3 = self.hosting.s3
        self.model = self.hosting.model

    def input(self, objects: Mapping[str, bytes]) -> str:
        """Put objects below a prefix of their own and return its URI, which ends in a slash."""
        prefix = f"{self.hosting.name('input')}/"
        for key, body in objects.items():
            self.s3.put_object(Bucket=BUCKET, Key=prefix + key, Body=body)
        return f"s3://{BUCKET}/{prefix}"

    def request(self, model: str, objects: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
        """Return a CreateTransformJob request; members of TransformInput and TransformOutput may stand beside it."""
        name = self.hosting.name("transform")
        source = {"S3DataType": "S3Prefix", "S3Uri": changes.pop("S3Uri", None) or self.input(objects)}
        parts = {
            part: {member: changes.pop(member) for member in members if member in changes}
            for part, members in {
                "TransformInput": ("ContentType", "SplitType", "CompressionType"),
                "TransformOutput": ("Accept", "AssembleWith"),
            }.items()
        }
        return {
            "TransformJobName": name,
            "ModelName": model,
            "TransformInput": {"DataSource": {"S3DataSource": source}, **parts["TransformInput"]},
            "TransformOutput": {"S3OutputPath": f"s3://{BUCKET}/{name}-output", **parts["TransformOutput"]},
            "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
            **changes,
        }

    def create(self, model: str, objects: Mapping[str, bytes], **changes: Any) -> str:
        """Create a job and return its name."""
        request = self.request(model, objects, **changes)
        self.sagemaker.create_transform_job(**request)
        return str(request["TransformJobName"])

    def describe(self, name: str) -> dict[str, Any]:
        """Return the answer of DescribeTransformJob."""
        answer: dict[str, Any] = self.sagemaker.describe_transform_job(TransformJobName=name)
        return answer

    def finish(self, name: str) -> dict[str, Any]:
        """Wait until a job has ended and return its description."""

        def ended() -> dict[str, Any] | None:
            answer = self.describe(name)
            return answer if answer["TransformJobStatus"] in {"Completed", "Failed", "Stopped"} else None

        found: dict[str, Any] = wait_until(ended, f"{name} has ended", 60.0)
        return found

    def run(self, model: str, objects: Mapping[str, bytes], **changes: Any) -> dict[str, Any]:
        """Create a job, wait until it has ended and return its description."""
        return self.finish(self.create(model, objects, **changes))

    def arrived(self, token: str) -> Path:
        """Return once a container has begun to answer ``wait <token>``; the file has the container's process id."""
        places = self.hosting.cloud.state_dir / "transforms"
        found: Path = wait_until(lambda: next(places.glob(f"*/{token}-arrived"), None), f"{token} has arrived")
        return found

    def release(self, token: str) -> None:
        """Let the container answer ``wait <token>``."""
        path = self.arrived(token)
        path.with_name(f"{token}-released").touch()

    def output(self, name: str) -> dict[str, bytes]:
        """Return what a job left in S3: path below its output path → content."""
        prefix = f"{name}-output/"
        found = self.s3.list_objects_v2(Bucket=BUCKET, Prefix=prefix).get("Contents", [])
        return {
            item["Key"].removeprefix(prefix): self.s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
            for item in found
        }

    def lines(self, name: str, *, data_log: bool = False) -> list[str]:
        """Return the lines of a job's containers, or those that SageMaker itself wrote, without their time."""
        logs = self.hosting.cloud.client("logs")
        if not logs.describe_log_groups(logGroupNamePrefix=LOG_GROUP)["logGroups"]:
            return []
        events = logs.filter_log_events(logGroupName=LOG_GROUP, logStreamNamePrefix=f"{name}/")["events"]
        found = [event for event in events if event["logStreamName"].endswith("/data-log") == data_log]
        return [str(event["message"]).partition(":[sagemaker logs]: ")[2 if data_log else 0] for event in found]
