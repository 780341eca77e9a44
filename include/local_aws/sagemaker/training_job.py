"""The API of training jobs.

Owns the jobs by name and the answers of their operations. Must not know how a job runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.errors import AwsError, validation
from local_aws.sagemaker.event import EventPublisher, epoch_milliseconds
from local_aws.sagemaker.job_register import JobRegister
from local_aws.sagemaker.listing import Listing
from local_aws.sagemaker.training_request import check_request
from local_aws.sagemaker.training_run import TrainingRun, output_artifacts
from local_aws.sagemaker.training_state import TrainingState

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.tag import TagRegistry
    from local_aws.service import Operation, Request, Response

__all__ = ["TrainingJobs"]

_LISTING = Listing(
    result="TrainingJobSummaries",
    name="TrainingJobName",
    members=(
        "TrainingJobName",
        "TrainingJobArn",
        "CreationTime",
        "TrainingEndTime",
        "LastModifiedTime",
        "TrainingJobStatus",
        "SecondaryStatus",
    ),
    status="TrainingJobStatus",
)

_EVENT_MEMBERS = (
    "TrainingJobName",
    "TrainingJobArn",
    "TrainingJobStatus",
    "SecondaryStatus",
    "FailureReason",
    "HyperParameters",
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
)
_EVENT_TIMES = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "LastModifiedTime")


@dataclass(frozen=True)
class _Job:
    state: TrainingState
    run: TrainingRun


class TrainingJobs:
    """All training jobs of this local AWS.

    :param stop_grace_seconds: time between SIGTERM and SIGKILL
    """

    def __init__(
        self, cloud: Cloud, engine: Engine, tags: TagRegistry, events: EventPublisher, *, stop_grace_seconds: float
    ) -> None:
        self._cloud = cloud
        self._engine = engine
        self._tags = tags
        self._events = events
        self._stop_grace_seconds = stop_grace_seconds
        self._jobs: JobRegister[_Job] = JobRegister()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "CreateTrainingJob": self._create,
            "DescribeTrainingJob": self._describe,
            "ListTrainingJobs": self._list,
            "StopTrainingJob": self._stop,
            "DeleteTrainingJob": self._delete,
        }

    def close(self) -> None:
        """End every running job."""
        self._jobs.close()

    def _create(self, request: Request) -> Response:
        name = request["TrainingJobName"]
        arn = self._cloud.arn("sagemaker", f"training-job/{name}")
        taken = _taken(arn)
        self._jobs.refuse_taken(name, taken)
        self._tags.check(request.get("Tags", []))
        check_request(request, self._cloud, self._engine)
        # Two creates may race through the checks; the name decides here.
        self._jobs.add(name, lambda: self._make(request, arn), taken).run.start()
        return {"TrainingJobArn": arn}

    def _make(self, request: Request, arn: str) -> _Job:
        self._tags.register(arn, request.get("Tags", []))
        model, _ = output_artifacts(request)
        state = TrainingState(request, arn, str(model.location), self._publish)
        run = TrainingRun(request, state, self._cloud, self._engine, stop_grace_seconds=self._stop_grace_seconds)
        return _Job(state, run)

    def _describe(self, request: Request) -> Response:
        return self._find(request).state.describe()

    def _list(self, request: Request) -> Response:
        jobs = self._jobs.all()
        if "WarmPoolStatusEquals" in request or "TrainingPlanArnEquals" in request:
            # No job here ever has a warm pool or a training plan.
            jobs = []
        return _LISTING.answer(request, [job.state.describe() for job in jobs])

    def _stop(self, request: Request) -> Response:
        self._find(request).run.stop()
        return {}

    def _delete(self, request: Request) -> Response:
        job = self._find(request)
        if not job.state.is_terminal:
            # Wording not known from AWS.
            message = f"Training job {job.state.arn} is in status {job.state.status}; only an ended job can be deleted."
            raise AwsError("ResourceInUse", message)
        self._jobs.remove(job.state.name)
        self._tags.forget(job.state.arn)
        return {}

    def _find(self, request: Request) -> _Job:
        job = self._jobs.find(request["TrainingJobName"])
        if job is None:
            raise validation("Requested resource not found.")
        return job

    def _publish(self, state: TrainingState) -> None:
        facts = state.describe()
        detail: dict[str, Any] = {member: facts[member] for member in _EVENT_MEMBERS if member in facts}
        # The documented sample has these times as texts, and no fraction.
        detail.update({member: str(epoch_milliseconds(facts[member])) for member in _EVENT_TIMES if member in facts})
        detail["SecondaryStatusTransitions"] = [
            {key: value if isinstance(value, str) else epoch_milliseconds(value) for key, value in transition.items()}
            for transition in facts["SecondaryStatusTransitions"]
        ]
        detail["Tags"] = {tag["Key"]: tag["Value"] for tag in self._tags.of(state.arn)}
        self._events.publish("SageMaker Training Job State Change", state.arn, detail)


def _taken(arn: str) -> AwsError:
    message = (
        "Training job names must be unique within an AWS account and region, and a training job with this name already "
        f"exists ({arn})"
    )
    return AwsError("ResourceInUse", message)
