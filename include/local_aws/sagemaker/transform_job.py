"""The API of transform jobs.

Owns the jobs by name and the answers of their operations. Must not know how a job runs.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.errors import AwsError, validation
from local_aws.sagemaker.job_register import JobRegister
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.transform_request import check_request
from local_aws.sagemaker.transform_run import TransformRun
from local_aws.sagemaker.transform_state import TransformState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.event import EventPublisher
    from local_aws.sagemaker.model import HostedContainer, Models
    from local_aws.sagemaker.tag import TagRegistry
    from local_aws.service import Operation, Request, Response

__all__ = ["TransformJobs"]

_LISTING = Listing(
    result="TransformJobSummaries",
    name="TransformJobName",
    members=(
        "TransformJobName",
        "TransformJobArn",
        "CreationTime",
        "TransformEndTime",
        "LastModifiedTime",
        "TransformJobStatus",
        "FailureReason",
    ),
    status="TransformJobStatus",
)

_EVENT_MEMBERS = (
    "TransformJobName",
    "TransformJobArn",
    "TransformJobStatus",
    "FailureReason",
    "ModelName",
    "MaxConcurrentTransforms",
    "MaxPayloadInMB",
    "BatchStrategy",
    "Environment",
    "TransformInput",
    "TransformOutput",
    "TransformResources",
    "CreationTime",
    "TransformStartTime",
    "TransformEndTime",
)


@dataclass(frozen=True)
class _Job:
    state: TransformState
    run: TransformRun


class TransformJobs:
    """All transform jobs of this local AWS.

    :param models: what jobs run
    :param startup_timeout_seconds: time for a serving container to become healthy
    """

    def __init__(
        self,
        cloud: Cloud,
        engine: Engine,
        models: Models,
        tags: TagRegistry,
        events: EventPublisher,
        *,
        startup_timeout_seconds: float,
    ) -> None:
        self._cloud = cloud
        self._engine = engine
        self._models = models
        self._tags = tags
        self._events = events
        self._startup_timeout_seconds = startup_timeout_seconds
        self._jobs: JobRegister[_Job] = JobRegister()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name; AWS has none to delete a job."""
        return {
            "CreateTransformJob": self._create,
            "DescribeTransformJob": self._describe,
            "ListTransformJobs": self._list,
            "StopTransformJob": self._stop,
        }

    def close(self) -> None:
        """End every running job."""
        self._jobs.close()

    def _create(self, request: Request) -> Response:
        name = request["TransformJobName"]
        arn = self._cloud.arn("sagemaker", f"transform-job/{name}")
        taken = _taken(arn)
        self._jobs.refuse_taken(name, taken)
        self._tags.check(request.get("Tags", []))
        container = self._models.container(request["ModelName"])
        check_request(request, self._cloud)
        # Two creates may race through the checks; the name decides here.
        self._jobs.add(name, lambda: self._make(request, arn, container), taken).run.start()
        return {"TransformJobArn": arn}

    def _make(self, request: Request, arn: str, container: HostedContainer) -> _Job:
        self._tags.register(arn, request.get("Tags", []))
        state = TransformState(request, arn, self._publish)
        seconds = self._startup_timeout_seconds
        run = TransformRun(request, container, state, self._cloud, self._engine, startup_timeout_seconds=seconds)
        return _Job(state, run)

    def _describe(self, request: Request) -> Response:
        return self._find(request).state.describe()

    def _list(self, request: Request) -> Response:
        return _LISTING.answer(request, [job.state.describe() for job in self._jobs.all()])

    def _stop(self, request: Request) -> Response:
        self._find(request).run.stop()
        return {}

    def _find(self, request: Request) -> _Job:
        name = request["TransformJobName"]
        job = self._jobs.find(name)
        if job is None:
            # The model has ResourceNotFound; AWS's Kubernetes controller knows the job to be absent by these words.
            message = f"Could not find requested job with name: {name}"
            raise validation(message)
        return job

    def _publish(self, state: TransformState) -> None:
        facts = state.describe()
        detail = {member: _event_value(facts[member]) for member in _EVENT_MEMBERS if member in facts}
        detail["Tags"] = {tag["Key"]: tag["Value"] for tag in self._tags.of(state.arn)}
        self._events.publish("SageMaker Transform Job State Change", state.arn, detail)


def _taken(arn: str) -> AwsError:
    # The wording is a guess.
    message = (
        f"Job name must be unique within an AWS account and region, and a job with this name already exists ({arn})"
    )
    return AwsError("ResourceInUse", message)


def _event_value(value: Any) -> Any:
    """Return a value as the documented sample has it: times in the form of ISO 8601, without a fraction."""
    return value.strftime("%Y-%m-%dT%H:%M:%SZ") if isinstance(value, dt.datetime) else value
