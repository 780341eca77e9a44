"""SageMaker's training jobs in the table of answers that stands for AWS."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from tests.support.fake_aws import AwsSays, FakeAws

__all__ = ["FakeTraining"]

_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:training-job/"
_THEN = datetime(2026, 1, 2, tzinfo=timezone.utc)


class FakeTraining:
    """Training jobs that a test moves by hand; every bucket holds data until the test says otherwise.

    :param jobs: description by name, in the order in which they were made
    """

    def __init__(self, aws: FakeAws) -> None:
        self.jobs: dict[str, dict[str, Any]] = {}
        self._futures: dict[str, list[tuple[str, str]]] = {}
        self._listed = False
        self.log: list[str] = []
        aws.on("CreateTrainingJob", self.create)
        aws.on("DescribeTrainingJob", self.describe)
        aws.on("ListTrainingJobs", self.list_jobs)
        aws.on("StopTrainingJob", self.stop)
        aws.on("ListObjectsV2", {"KeyCount": 1})
        aws.on("DescribeLogStreams", self.streams)
        aws.on("GetLogEvents", self.events)
        aws.on("FilterLogEvents", {"events": []})

    def ends(self, name: str, status: str, secondary_status: str = "", **facts: Any) -> None:
        """Bring a job to its end.

        :param facts: further members of its description, for example ``FailureReason``
        """
        self.jobs[name] |= {
            "TrainingEndTime": _THEN,
            "TrainingJobStatus": status,
            "SecondaryStatus": secondary_status or status,
            **facts,
        }

    def goes_through(self, name: str, *states: tuple[str, str]) -> None:
        """Show one state after another: each list shows the next, and so does a description that follows none."""
        self._futures[name] = list(states)

    def create(self, **request: Any) -> dict[str, Any]:
        """Answer CreateTrainingJob."""
        name = request["TrainingJobName"]
        if name in self.jobs:
            raise AwsSays("ResourceInUse", f"Training job names must be unique within an AWS account: {name}")
        self.jobs[name] = {
            **{member: value for member, value in request.items() if member != "Tags"},
            "TrainingJobArn": _ARN + name,
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://bucket/models/{name}/output/model.tar.gz"},
            "TrainingJobStatus": "InProgress",
            "SecondaryStatus": "Starting",
            "CreationTime": _THEN,
        }
        return {"TrainingJobArn": _ARN + name}

    def describe(self, **request: Any) -> dict[str, Any]:
        """Answer DescribeTrainingJob."""
        name = request["TrainingJobName"]
        if name not in self.jobs:
            raise AwsSays("ValidationException", "Requested resource not found.")
        if not self._listed:
            self._go_on(name)
        self._listed = False
        return self.jobs[name]

    def list_jobs(self, **_: Any) -> dict[str, Any]:
        """Answer ListTrainingJobs, with all jobs there are on one page."""
        for name in self.jobs:
            self._go_on(name)
        self._listed = True
        members = ("TrainingJobName", "TrainingJobArn", "CreationTime", "TrainingJobStatus", "SecondaryStatus")
        return {"TrainingJobSummaries": [{key: job[key] for key in members} for job in self.jobs.values()]}

    def _go_on(self, name: str) -> None:
        if self._futures.get(name):
            self.ends(name, *self._futures[name].pop(0))

    def stop(self, **request: Any) -> dict[str, Any]:
        """Answer StopTrainingJob."""
        job = self.jobs[request["TrainingJobName"]]
        if job["TrainingJobStatus"] != "InProgress":
            text = f"The request was rejected because the training job is in status {job['TrainingJobStatus']}."
            raise AwsSays("ValidationException", text)
        self.ends(request["TrainingJobName"], "Stopping")
        return {}

    def streams(self, **request: Any) -> dict[str, Any]:
        """Answer DescribeLogStreams."""
        prefix = request.get("logStreamNamePrefix", "")
        return {"logStreams": [{"logStreamName": f"{prefix}algo-1-1"}] if self.log else []}

    def events(self, **request: Any) -> dict[str, Any]:
        """Answer GetLogEvents."""
        lines = self.log[-request["limit"] :]
        return {"events": [{"timestamp": index, "message": line} for index, line in enumerate(lines)]}
