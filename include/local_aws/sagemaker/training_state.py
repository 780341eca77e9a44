"""What is known of one training job at any moment, and what DescribeTrainingJob answers.

Owns status, secondary statuses with their times and messages, and who may change them when. Must not know
how a job runs.
"""

from __future__ import annotations

import copy
import math
import threading
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation
from local_aws.sagemaker.job_end import StopRequestedError
from local_aws.sagemaker.moment import now
from local_aws.sagemaker.training_request import DEFAULT_MAX_RUNTIME_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["MESSAGES", "TrainingState"]

MESSAGES = {
    "Starting": "Starting the training job",
    "Training": "Training image download completed. Training in progress.",
    "Uploading": "Uploading generated training model",
    "Completed": "Training job completed",
    "Stopping": "Stopping the training job",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
    "Failed": "Training job failed",
}
"""Messages seen in real jobs, except the one of Failed, which is a guess. ``Pending`` and ``Downloading`` come
twice with two messages each."""

_TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
_LONGEST_REASON = 1024


class TrainingState:
    """The state of one job; safe to use from several threads.

    :param request: CreateTrainingJob request
    :param arn: ARN of the job
    :param model_uri: where the model is going to be
    :param on_change: called after every change, in order, with this object
    """

    def __init__(
        self, request: Mapping[str, Any], arn: str, model_uri: str, on_change: Callable[[TrainingState], None]
    ) -> None:
        self.arn = arn
        self.name: str = request["TrainingJobName"]
        self._on_change = on_change
        self._lock = threading.RLock()
        moment = now()
        self._facts: dict[str, Any] = {
            **_with_defaults(request),
            "TrainingJobArn": arn,
            "ModelArtifacts": {"S3ModelArtifacts": model_uri},
            "TrainingJobStatus": "InProgress",
            "CreationTime": moment,
            "LastModifiedTime": moment,
            "SecondaryStatusTransitions": [],
        }
        self._stop_requested = False
        self.advance("Starting")

    @property
    def status(self) -> str:
        """TrainingJobStatus."""
        with self._lock:
            return str(self._facts["TrainingJobStatus"])

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in _TERMINAL

    def describe(self) -> dict[str, Any]:
        """Return the answer of DescribeTrainingJob."""
        with self._lock:
            return copy.deepcopy(self._facts)

    def advance(self, secondary: str, message: str | None = None) -> None:
        """Go to a secondary status of a running job.

        :param message: StatusMessage when it is not the one of ``MESSAGES``
        :raises StopRequestedError: when the job was stopped and the status is one before the upload
        """
        with self._lock:
            if self._stop_requested and secondary not in {"Stopping", "Uploading"}:
                raise StopRequestedError
            if secondary == "Stopping":
                # The API reference gives both statuses this value, and does not say that one may have it alone: so
                # a job whose time is up has it in both too.
                self._facts["TrainingJobStatus"] = "Stopping"
            self._open(secondary, message or MESSAGES[secondary])
            if secondary == "Downloading":
                # The clock runs from the moment the instances are there.
                self._facts.setdefault("TrainingStartTime", self._facts["LastModifiedTime"])
            self._on_change(self)

    def request_stop(self) -> None:
        """Take a StopTrainingJob; a second one while the job is stopping changes nothing.

        :raises AwsError: when the job has ended
        """
        with self._lock:
            if self.is_terminal:
                message = f"The request was rejected because the training job is in status {self.status}."
                raise validation(message)
            if self.status != "Stopping":
                self._stop_requested = True
                self.advance("Stopping")

    @property
    def is_stop_requested(self) -> bool:
        """Whether somebody stopped the job."""
        with self._lock:
            return self._stop_requested

    def set_metrics(self, final: list[dict[str, Any]]) -> None:
        """Note the last values of the job's metrics."""
        with self._lock:
            if final:
                self._facts["FinalMetricDataList"] = final

    def set_training_end(self) -> None:
        """Note that instances are no longer needed, if any were."""
        with self._lock:
            end = now()
            self._facts["TrainingEndTime"] = end
            start = self._facts.get("TrainingStartTime")
            if start is not None:
                # Whole seconds; that AWS rounds up is a guess.
                seconds = math.ceil((end - start).total_seconds())
                self._facts["TrainingTimeInSeconds"] = seconds
                self._facts["BillableTimeInSeconds"] = seconds

    def end(self, status: str, secondary: str, failure_reason: str | None = None) -> None:
        """End the job for good. One that was stopped while it was uploading ends as Stopped, not as Completed.

        :param status: ``Completed``, ``Failed`` or ``Stopped``
        """
        with self._lock:
            if status == "Completed" and self._stop_requested:
                status = secondary = "Stopped"
            if "TrainingEndTime" not in self._facts:
                self.set_training_end()
            self._facts["TrainingJobStatus"] = status
            if failure_reason is not None:
                self._facts["FailureReason"] = failure_reason[:_LONGEST_REASON]
            self._open(secondary, MESSAGES[secondary])
            self._facts["SecondaryStatusTransitions"][-1]["EndTime"] = self._facts["LastModifiedTime"]
            self._on_change(self)

    def _open(self, secondary: str, message: str) -> None:
        moment = now()
        transitions = self._facts["SecondaryStatusTransitions"]
        if transitions:
            transitions[-1]["EndTime"] = moment
        transitions.append({"Status": secondary, "StartTime": moment, "StatusMessage": message})
        self._facts["SecondaryStatus"] = secondary
        self._facts["LastModifiedTime"] = moment


def _with_defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request as Describe shows it; the tags are not part of it."""
    facts = copy.deepcopy({key: value for key, value in request.items() if key != "Tags"})
    for flag in ("EnableNetworkIsolation", "EnableInterContainerTrafficEncryption", "EnableManagedSpotTraining"):
        facts.setdefault(flag, False)
    facts["StoppingCondition"].setdefault("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
    algorithm = facts["AlgorithmSpecification"]
    algorithm.setdefault("EnableSageMakerMetricsTimeSeries", bool(algorithm.get("MetricDefinitions")))
    facts["OutputDataConfig"].setdefault("KmsKeyId", "")
    facts["OutputDataConfig"].setdefault("CompressionType", "GZIP")
    for channel in facts.get("InputDataConfig", []):
        channel.setdefault("CompressionType", "None")
        channel.setdefault("RecordWrapperType", "None")
        channel["DataSource"]["S3DataSource"].setdefault("S3DataDistributionType", "FullyReplicated")
    return facts
