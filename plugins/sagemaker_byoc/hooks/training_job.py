"""Calls that make, find, watch and stop a training job.

Owns adoption: which name is asked for next, and what is done with a job that has it already. Knows nothing of tasks,
deferral or templates.
"""

from __future__ import annotations

import itertools
import logging
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import JobMismatchError, RequestError
from sagemaker_byoc.hooks.watched import PAGE_SIZE, Page, answered_at
from sagemaker_byoc.naming import job_name
from sagemaker_byoc.retry import aws_code, is_permanent
from sagemaker_byoc.s3_location import SCHEME, S3Location
from sagemaker_byoc.training_job_status import TrainingJobLook, mismatches

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.run import RunIdentity
    from sagemaker_byoc.state_change import Kind

__all__ = ["TrainingJobHook"]

log = logging.getLogger(__name__)

_ABSENT = "Requested resource not found"
_OVER = "The request was rejected because the training job is in status"


class TrainingJobHook:
    """Training jobs of one connection."""

    KIND: Kind = "training_job"
    LIST_ACTION = "sagemaker:ListTrainingJobs"

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def look(self, name: str) -> TrainingJobLook:
        """Describe a job.

        :raises RequestError: there is none of that name
        """
        description = self.describe(name)
        if description is None:
            allowed = f"the name of a training job in {self._connection.region}"
            raise RequestError("training_job_name", name, allowed, "Was it deleted, or is it in another region?")
        return TrainingJobLook.of(description)

    def page_of_changes(self, since: datetime, token: str | None) -> Page[TrainingJobLook]:
        """List jobs whose status was modified after a time, one page of them."""
        more = {"NextToken": token} if token else {}
        answer = self._connection.client("sagemaker").list_training_jobs(
            LastModifiedTimeAfter=since, MaxResults=PAGE_SIZE, **more
        )
        looks = {each["TrainingJobName"]: TrainingJobLook.of(each) for each in answer["TrainingJobSummaries"]}
        return Page(looks, answer.get("NextToken"), answered_at(answer))

    def is_changing(self, seen: TrainingJobLook) -> bool:
        """Say whether the job has not ended."""
        return not seen.ended

    def describe(self, name: str) -> dict[str, Any] | None:
        """Return the answer of DescribeTrainingJob; None when there is no such job."""
        client = self._connection.client("sagemaker")
        try:
            description: dict[str, Any] = client.describe_training_job(TrainingJobName=name)
        except client.exceptions.ClientError as error:
            if is_absent(error):
                return None
            raise
        return description

    def adopt_or_create(
        self, request: Mapping[str, Any], base: str, run: RunIdentity, *, stop_earlier: bool = True
    ) -> tuple[str, bool]:
        """See to it that exactly one job of this run is there, however often and by how many tries this is called.

        The name is the same for every try. A job of that name which is running or completed is adopted; past one that
        ended Failed or Stopped, or is being stopped, the ordinal in the name moves on.

        :param request: CreateTrainingJob request; its name is replaced
        :param base: readable beginning of the name
        :param stop_earlier: before a job is made, stop those that this task made before a person cleared it
        :return: name, and whether the job was made by this call
        :raises JobMismatchError: the job to adopt is not the one that is asked for
        :raises RequestError: an input channel is empty
        """
        ordinal = 1
        while True:
            name = job_name(base, run, ordinal)
            description = self.describe(name)
            if description is None:
                if stop_earlier:
                    self.stop_earlier(base, run)
                description = self._create({**request, "TrainingJobName": name})
            if description is None:
                return name, True
            if is_adopted(description, request):
                warn_if_completed(description)
                return name, False
            ordinal += 1

    def stop_earlier(self, base: str, run: RunIdentity) -> None:
        """Stop the jobs that earlier generations of the task left running.

        A task that was cleared while nobody waited for its job is told nothing of it. Makes no call on a first try. A
        job under another base, or from before ``retries`` was lowered, is not found. A task that still waits for such
        a job, since it was not cleared with this one, sees it stopped.
        """
        for earlier in run.earlier_generations():
            for ordinal in itertools.count(1):
                description = self.describe(job_name(base, earlier, ordinal))
                if description is None:
                    break
                if description["TrainingJobStatus"] == "InProgress":
                    self._stop_orphan(description["TrainingJobName"])

    def check_inputs(self, request: Mapping[str, Any]) -> None:
        """Refuse a channel whose prefix holds no object; AWS would, too, but without naming the channel.

        :raises RequestError: a bucket does not exist, or a prefix is empty
        """
        for index, channel in enumerate(request.get("InputDataConfig", [])):
            source = channel["DataSource"].get("S3DataSource", {})
            if source.get("S3DataType") == "S3Prefix" and source["S3Uri"].startswith(SCHEME):
                field = f"config.InputDataConfig[{index}].DataSource.S3DataSource.S3Uri"
                self._check_prefix(source["S3Uri"], field, channel["ChannelName"])

    def stop(self, name: str) -> bool:
        """Stop a job.

        :return: False when it had ended already
        """
        client = self._connection.client("sagemaker")
        try:
            client.stop_training_job(TrainingJobName=name)
        except client.exceptions.ClientError as error:
            if _OVER in str(error) or is_absent(error):
                return False
            raise
        return True

    def _stop_orphan(self, name: str) -> None:
        """Stop a job that nobody waits for; not being allowed to is no reason to make no other one."""
        try:
            self.stop(name)
        except Exception as error:
            if not is_permanent(error):
                raise
            log.warning(
                "Training job %s, from before this task was cleared, goes on: %s. Stop it by hand.", name, error
            )
        else:
            log.warning("Training job %s, from before this task was cleared, still ran: it is being stopped.", name)

    def _create(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """Create the job and return None; return the description of the job that has its name by now."""
        self.check_inputs(request)
        client = self._connection.client("sagemaker")
        try:
            client.create_training_job(**request)
        except client.exceptions.ResourceInUse:
            name = request["TrainingJobName"]
            # Another try was faster; its job is looked at like any other. As long as AWS does not show it, the
            # refusal stands and the task is tried again: another name would be a second job.
            description = self.describe(name)
            if description is None:
                raise
            return description
        return None

    def _check_prefix(self, uri: str, field: str, channel: str) -> None:
        location = S3Location.parse(uri, field, whole_bucket=True)
        client = self._connection.client("s3")
        try:
            answer = client.list_objects_v2(Bucket=location.bucket, Prefix=location.key, MaxKeys=1)
        except client.exceptions.NoSuchBucket as error:
            raise RequestError(field, uri, "a bucket that exists", f"Create the bucket {location.bucket}.") from error
        except client.exceptions.ClientError as error:
            if aws_code(error) not in ("AccessDenied", "AllAccessDisabled"):
                raise
            log.info("Channel %s: not allowed to list %s, so AWS has to say whether it is empty.", channel, uri)
            return
        if not answer.get("KeyCount", 0):
            remedy = f"Channel {channel!r} would be empty: upload the data there, or train on another partition."
            raise RequestError(field, uri, "a prefix that holds at least one object", remedy)


def is_absent(error: Exception) -> bool:
    """Tell whether AWS says that there is no such job: in words today, by the code that its model promises, or both."""
    return _ABSENT in str(error) or aws_code(error) == "ResourceNotFound"


def is_adopted(description: Mapping[str, Any], request: Mapping[str, Any]) -> bool:
    """Tell whether an existing job is taken instead of a new one.

    :raises JobMismatchError: it runs or has completed, but is another job than the one asked for
    """
    if description["TrainingJobStatus"] not in ("InProgress", "Completed"):
        return False
    different = mismatches(description, request)
    if different:
        name = description["TrainingJobName"]
        lines = "\n".join(f"    {line}" for line in different)
        message = (
            f"Training job {name} of an earlier try of this task is {description['TrainingJobStatus']}, but it is not "
            f"the job that is asked for now:\n{lines}\n"
            "Nothing was created. Clear the task to train anew, or undo the change to take the job as it is."
        )
        raise JobMismatchError(message)
    return True


def warn_if_completed(description: Mapping[str, Any]) -> None:
    """Say loudly that nothing is trained, since a clear that follows lower ``retries`` looks like a retry."""
    if description["TrainingJobStatus"] == "Completed":
        log.warning(
            "Training job %s of an earlier try has completed and is taken as it is: nothing is trained now. If this "
            "task was cleared to train anew, and its retries were lowered before, clear it once more.",
            description["TrainingJobName"],
        )
