"""The training jobs of an account that runs nothing: what AWS's calls about them answer, and how often each was made.

A job's status follows from the clock and from the moment at which it was told to end, so nothing has to happen when a
job ends, and its end is known to the benchmark to the millisecond. Knows nothing of HTTP. Answers are shaped as in
botocore's models of the services; only what waits call is there.
"""

from __future__ import annotations

import asyncio
import heapq
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Account", "RefusedError"]

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"
IMAGE = f"{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com/nothing@sha256:{'0' * 64}"
EXECUTION_ROLE = f"arn:aws:iam::{ACCOUNT_ID}:role/none"
DEFAULT_PAGE = 10
LONGEST_RECEIVE_SECONDS = 20.0

Request = dict[str, Any]


class RefusedError(Exception):
    """AWS would answer with an error; the arguments are its code and its message."""


@dataclass
class Job:
    """A job in progress, or ended as Completed.

    :param created: seconds since 1970
    :param ends_at: seconds since 1970, infinite until the benchmark decides
    """

    name: str
    created: float
    ends_at: float = float("inf")

    @property
    def arn(self) -> str:
        """The ARN."""
        return f"arn:aws:sagemaker:{REGION}:{ACCOUNT_ID}:training-job/{self.name}"

    def summary(self, now: float) -> dict[str, Any]:
        """Return the job as ListTrainingJobs shows it."""
        over = self.ends_at <= now
        end = {"TrainingEndTime": self.ends_at} if over else {}
        return end | {
            "TrainingJobName": self.name,
            "TrainingJobArn": self.arn,
            "CreationTime": self.created,
            "LastModifiedTime": self.ends_at if over else self.created,
            "TrainingJobStatus": "Completed" if over else "InProgress",
            "SecondaryStatus": "Completed" if over else "Training",
        }

    def description(self, now: float) -> dict[str, Any]:
        """Return the job as DescribeTrainingJob shows it."""
        summary = self.summary(now)
        status = summary["SecondaryStatus"]
        return summary | {
            "SecondaryStatusTransitions": [{"Status": status, "StartTime": summary["LastModifiedTime"]}],
            "TrainingStartTime": self.created,
            "ModelArtifacts": {"S3ModelArtifacts": f"s3://none/{self.name}/output/model.tar.gz"},
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": EXECUTION_ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://none"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            "StoppingCondition": {"MaxRuntimeInSeconds": 86400},
            "TrainingTimeInSeconds": 1,
            "BillableTimeInSeconds": 1,
        }


@dataclass
class Account:
    """What the edge holds.

    :param calls: number of calls of each action since the last reset
    :param described: jobs that were ever asked for by name
    """

    jobs: dict[str, Job] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    described: set[str] = field(default_factory=set)
    events: list[tuple[float, str]] = field(default_factory=list)
    planned: asyncio.Event = field(default_factory=asyncio.Event)

    def create_jobs(self, names: Iterable[str]) -> None:
        """Put jobs in progress."""
        now = time.time()
        self.jobs |= {name: Job(name, now) for name in names}

    def plan_ends(self, seconds_from_now: Mapping[str, float]) -> dict[str, float]:
        """Let jobs end, and their events be sent, at a time to come; return the moments in seconds since 1970."""
        now = time.time()
        for name, seconds in seconds_from_now.items():
            self.jobs[name].ends_at = now + seconds
            heapq.heappush(self.events, (now + seconds, name))
        self.planned.set()
        return {name: self.jobs[name].ends_at for name in seconds_from_now}

    async def answer(self, action: str, request: Request) -> dict[str, Any]:
        """Count a call and return its answer.

        :raises RefusedError: what AWS would refuse, or a call that no wait needs
        """
        self.calls[action] += 1
        if action == "ReceiveMessage":
            return await self.receive(request)
        try:
            operation = OPERATIONS[action]
        except KeyError as error:
            raise RefusedError("UnknownOperationException", f"the edge knows no {action}") from error
        return operation(self, request)

    async def receive(self, request: Request) -> dict[str, Any]:
        """Return the events of jobs that have ended, waiting for the first one as SQS's long polling does."""
        until = time.time() + min(float(request.get("WaitTimeSeconds", 0)), LONGEST_RECEIVE_SECONDS)
        while (now := time.time()) < until and not self._due(now):
            self.planned.clear()
            next_end = self.events[0][0] if self.events else until
            pause = max(min(next_end, until) - now, 0.001)
            try:
                await asyncio.wait_for(self.planned.wait(), pause)
            except TimeoutError:
                continue
        due = [heapq.heappop(self.events)[1] for _ in range(request.get("MaxNumberOfMessages", 1)) if self._due(now)]
        return {"Messages": [message(self.jobs[name]) for name in due]} if due else {}

    def _due(self, now: float) -> bool:
        return bool(self.events) and self.events[0][0] <= now

    def describe(self, request: Request) -> dict[str, Any]:
        """Answer DescribeTrainingJob."""
        self.described.add(request["TrainingJobName"])
        try:
            return self.jobs[request["TrainingJobName"]].description(time.time())
        except KeyError as error:
            raise RefusedError("ValidationException", "Requested resource not found.") from error

    def list(self, request: Request) -> dict[str, Any]:
        """Answer ListTrainingJobs, filtered and in pages."""
        now = time.time()
        found = [summary for job in self.jobs.values() if wanted(summary := job.summary(now), request)]
        key = {"Name": "TrainingJobName", "Status": "TrainingJobStatus"}.get(request.get("SortBy", ""), "CreationTime")
        found.sort(key=lambda summary: summary[key], reverse=request.get("SortOrder") != "Ascending")
        start = int(request.get("NextToken", 0))
        end = start + request.get("MaxResults", DEFAULT_PAGE)
        more = {"NextToken": str(end)} if end < len(found) else {}
        return {"TrainingJobSummaries": found[start:end], **more}

    def stop(self, request: Request) -> dict[str, Any]:
        """Answer StopTrainingJob."""
        self.plan_ends({request["TrainingJobName"]: 0.0})
        return {}

    def streams(self, request: Request) -> dict[str, Any]:
        """Answer DescribeLogStreams with the one stream that each job has."""
        prefix = request.get("logStreamNamePrefix", "")
        names = [f"{name}/algo-1-1" for name in self.jobs if f"{name}/algo-1-1".startswith(prefix)]
        return {"logStreams": [{"logStreamName": name, "creationTime": 1} for name in names[:50]]}


def wanted(summary: Mapping[str, Any], request: Request) -> bool:
    """Tell whether ListTrainingJobs shows a job to this request."""
    bounds: list[tuple[str, str, Callable[[float, float], bool]]] = [
        ("LastModifiedTime", "After", float.__gt__),
        ("LastModifiedTime", "Before", float.__lt__),
        ("CreationTime", "After", float.__gt__),
        ("CreationTime", "Before", float.__lt__),
    ]
    return (
        all(
            holds(float(summary[time_]), float(request[time_ + side]))
            for time_, side, holds in bounds
            if time_ + side in request
        )
        and request.get("NameContains", "") in summary["TrainingJobName"]
        and request.get("StatusEquals") in (None, summary["TrainingJobStatus"])
    )


def message(job: Job) -> dict[str, Any]:
    """Return the SQS message that EventBridge's event about the end of a job becomes."""
    ended = datetime.fromtimestamp(job.ends_at, timezone.utc)
    body = {
        "version": "0",
        "id": f"{job.name}-ended",
        "detail-type": "SageMaker Training Job State Change",
        "source": "aws.sagemaker",
        "account": ACCOUNT_ID,
        "time": ended.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": REGION,
        "resources": [job.arn],
        "detail": {
            "TrainingJobName": job.name,
            "TrainingJobArn": job.arn,
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "CreationTime": int(job.created * 1000),
            "LastModifiedTime": int(job.ends_at * 1000),
            "TrainingEndTime": int(job.ends_at * 1000),
        },
    }
    return {
        "MessageId": body["id"],
        "ReceiptHandle": body["id"],
        "Body": json.dumps(body),
        "Attributes": {"ApproximateReceiveCount": "1"},
    }


def all_done(request: Request) -> dict[str, Any]:
    """Return SQS's answer to a batch of which everything succeeded; a message was handed out for good already."""
    return {"Successful": [{"Id": entry["Id"]} for entry in request["Entries"]], "Failed": []}


OPERATIONS: dict[str, Callable[[Account, Request], dict[str, Any]]] = {
    "DescribeTrainingJob": Account.describe,
    "ListTrainingJobs": Account.list,
    "StopTrainingJob": Account.stop,
    "DescribeLogStreams": Account.streams,
    "GetLogEvents": lambda _account, _request: {"events": [], "nextForwardToken": "f/0", "nextBackwardToken": "b/0"},
    "FilterLogEvents": lambda _account, _request: {"events": []},
    "DeleteMessage": lambda _account, _request: {},
    "DeleteMessageBatch": lambda _account, request: all_done(request),
    "ChangeMessageVisibilityBatch": lambda _account, request: all_done(request),
}
