"""SageMaker's batch transform jobs in the table of answers that stands for AWS, with the bucket that they work on."""

from __future__ import annotations

import io
import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tests.support.fake_aws import AwsSays, FakeAws

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FakeTransform", "labels"]

_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:"
_THEN = datetime(2026, 1, 2, tzinfo=timezone.utc)


class FakeTransform:
    """Models that answer each record by a rule, and the jobs that ask them.

    A job that was made is in progress until it is described, unless ``goes_on`` keeps it there.

    :param objects: body by key of whatever bucket
    :param jobs: description by name, in the order in which they were made
    :param models: CreateModel request by name
    :param rules: by name of the model, what it answers to the lines of a CSV body; ``None`` is that of all others
    :param failures: by name of the model, what is described of its jobs that fail
    :param subfolder: of a job's output, in which AWS puts the answers
    """

    def __init__(self, aws: FakeAws) -> None:
        self.objects: dict[str, bytes] = {}
        self.jobs: dict[str, dict[str, Any]] = {}
        self.models: dict[str, dict[str, Any]] = {}
        self.rules: dict[str | None, Callable[[list[str]], str]] = {None: labels()}
        self.failures: dict[str, dict[str, Any]] = {}
        self.goes_on = False
        self.subfolder = ""
        self._tags: dict[str, list[dict[str, str]]] = {}
        aws.on("CreateTransformJob", self.create)
        aws.on("DescribeTransformJob", self.describe)
        aws.on("StopTransformJob", self.stop)
        aws.on("ListTags", lambda **asked: {"Tags": self._tags.get(asked["ResourceArn"], [])})
        aws.on("CreateModel", self._create_model)
        aws.on("DescribeModel", self._describe_model)
        aws.on("HeadObject", {})
        aws.on("PutObject", self._put)
        aws.on("GetObject", self._get)
        aws.on("ListObjectsV2", self._list)
        aws.on("DescribeLogStreams", {"logStreams": [{"logStreamName": "host"}]})
        aws.on("GetLogEvents", {"events": [{"timestamp": 1, "message": "out of memory"}]})

    def create(self, **request: Any) -> dict[str, Any]:
        """Answer CreateTransformJob."""
        name = request["TransformJobName"]
        if name in self.jobs:
            raise AwsSays("ResourceInUse", f"Job name must be unique within an AWS account: {name}")
        arn = f"{_ARN}transform-job/{name}"
        self._tags[arn] = request.pop("Tags", [])
        facts = {"TransformJobArn": arn, "TransformJobStatus": "InProgress", "CreationTime": _THEN}
        self.jobs[name] = {**request, **facts}
        return {"TransformJobArn": arn}

    def describe(self, **request: Any) -> dict[str, Any]:
        """Answer DescribeTransformJob."""
        name = request["TransformJobName"]
        if name not in self.jobs:
            raise AwsSays("ValidationException", f"Could not find requested job with name: {name}")
        job = self.jobs[name]
        if job["TransformJobStatus"] == "Stopping":
            job["TransformJobStatus"] = "Stopped"
        if job["TransformJobStatus"] == "InProgress" and not self.goes_on:
            self._end(job)
        return dict(job)

    def stop(self, **request: Any) -> dict[str, Any]:
        """Answer StopTransformJob."""
        job = self.jobs[request["TransformJobName"]]
        if job["TransformJobStatus"] != "InProgress":
            text = f"The request was rejected because the transform job is in status {job['TransformJobStatus']}."
            raise AwsSays("ValidationException", text)
        job["TransformJobStatus"] = "Stopping"
        return {}

    def _end(self, job: dict[str, Any]) -> None:
        failure = self.failures.get(job["ModelName"])
        if failure is not None:
            job.update({"TransformJobStatus": "Failed", **failure})
            return
        rule = self.rules.get(job["ModelName"], self.rules[None])
        source = _key(job["TransformInput"]["DataSource"]["S3DataSource"]["S3Uri"])
        for key in [key for key in self.objects if key.startswith(source)]:
            _header, *lines = self.objects[key].decode().splitlines()
            place = f"{_key(job['TransformOutput']['S3OutputPath'])}/{self.subfolder}"
            answer = f"{place}{key.rpartition('/')[2]}.out"
            self.objects[answer] = rule(lines).encode()
        job["TransformJobStatus"] = "Completed"

    def _create_model(self, **request: Any) -> dict[str, Any]:
        name = request["ModelName"]
        if name in self.models:
            raise AwsSays("ValidationException", f"Cannot create already existing model {name}")
        self.models[name] = request
        return {"ModelArn": f"{_ARN}model/{name}"}

    def _describe_model(self, **request: Any) -> dict[str, Any]:
        name = request["ModelName"]
        if name not in self.models:
            raise AwsSays("ValidationException", f"Could not find model {name}")
        facts = {member: value for member, value in self.models[name].items() if member != "Tags"}
        return {**facts, "ModelArn": f"{_ARN}model/{name}", "CreationTime": _THEN}

    def _put(self, **request: Any) -> dict[str, Any]:
        self.objects[request["Key"]] = request["Body"]
        return {}

    def _get(self, **request: Any) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[request["Key"]])}

    def _list(self, **request: Any) -> dict[str, Any]:
        return {"Contents": [{"Key": key} for key in sorted(self.objects) if key.startswith(request["Prefix"])]}


def labels(*wrong: str) -> Callable[[list[str]], str]:
    """Return a rule that calls lines below 3 short and others long, and the wrong way round for these."""

    def answer(lines: list[str]) -> str:
        found = ["short" if (float(line) < 3) != (line in wrong) else "long" for line in lines]
        return json.dumps({"predictions": [{"label": label} for label in found]})

    return answer


def _key(uri: str) -> str:
    return uri.removeprefix("s3://").partition("/")[2]
