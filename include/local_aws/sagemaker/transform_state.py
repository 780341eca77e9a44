"""What is known of one transform job at any moment, and what DescribeTransformJob answers.

Owns the status, its times, and who may change them when. Must not know how a job runs.
"""

from __future__ import annotations

import copy
import threading
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation
from local_aws.sagemaker.job_end import StopRequestedError
from local_aws.sagemaker.moment import now

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["TransformState"]

_TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
_LONGEST_REASON = 1024


class TransformState:
    """The state of one job; safe to use from several threads.

    :param request: CreateTransformJob request
    :param arn: ARN of the job
    :param on_change: called after every change of the status, in order, with this object
    """

    def __init__(self, request: Mapping[str, Any], arn: str, on_change: Callable[[TransformState], None]) -> None:
        self.arn = arn
        self.name: str = request["TransformJobName"]
        self._on_change = on_change
        self._lock = threading.RLock()
        moment = now()
        self._facts: dict[str, Any] = {
            **_with_defaults(request),
            "TransformJobArn": arn,
            "TransformJobStatus": "InProgress",
            "CreationTime": moment,
            "LastModifiedTime": moment,
        }
        self._is_stop_requested = False
        self._is_settled = False
        self._on_change(self)

    @property
    def status(self) -> str:
        """TransformJobStatus."""
        with self._lock:
            return str(self._facts["TransformJobStatus"])

    @property
    def is_terminal(self) -> bool:
        """Whether the job has ended."""
        return self.status in _TERMINAL

    @property
    def is_stop_requested(self) -> bool:
        """Whether somebody stopped the job."""
        with self._lock:
            return self._is_stop_requested

    def describe(self) -> dict[str, Any]:
        """Return all that is known; LastModifiedTime, which DescribeTransformJob does not show, is for lists."""
        with self._lock:
            return copy.deepcopy(self._facts)

    def set_start(self) -> None:
        """Note that the job's instances are there."""
        with self._lock:
            self._facts["TransformStartTime"] = self._facts["LastModifiedTime"] = now()

    def request_stop(self) -> None:
        """Take a StopTransformJob; one that comes while the job is stopping, or too late, changes nothing.

        :raises AwsError: when the job has ended
        """
        with self._lock:
            if self.is_terminal:
                # The code is what others see; the wording is that of training jobs, a guess.
                message = f"The request was rejected because the transform job is in status {self.status}."
                raise validation(message)
            if not self._is_settled and not self._is_stop_requested:
                self._is_stop_requested = True
                self._change("Stopping")

    def settle(self) -> None:
        """Note that the output is in S3: a stop comes too late from now on.

        :raises StopRequestedError: when one came before
        """
        with self._lock:
            if self._is_stop_requested:
                raise StopRequestedError
            self._is_settled = True
            self._facts["TransformEndTime"] = now()

    def end(self, status: str, failure_reason: str | None = None) -> None:
        """End the job for good.

        :param status: ``Completed``, ``Failed`` or ``Stopped``
        """
        with self._lock:
            self._facts.setdefault("TransformEndTime", now())
            if failure_reason is not None:
                self._facts["FailureReason"] = failure_reason[:_LONGEST_REASON]
            self._change(status)

    def _change(self, status: str) -> None:
        self._facts["TransformJobStatus"] = status
        self._facts["LastModifiedTime"] = now()
        self._on_change(self)


def _with_defaults(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request as Describe shows it; the tags are not part of it.

    That AWS fills in SplitType and CompressionType is known from its Kubernetes controller; the output's members are
    filled in as a guess.
    """
    facts = copy.deepcopy({key: value for key, value in request.items() if key != "Tags"})
    facts["TransformInput"].setdefault("SplitType", "None")
    facts["TransformInput"].setdefault("CompressionType", "None")
    facts["TransformOutput"].setdefault("AssembleWith", "None")
    facts["TransformOutput"].setdefault("KmsKeyId", "")
    return facts
