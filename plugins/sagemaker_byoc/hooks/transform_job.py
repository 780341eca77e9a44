"""Calls that make, find, watch and stop a batch transform job, and read what it left behind.

Owns adoption: a job is named by what it is made from, so that whoever asks the same again finds it. Knows nothing of
tasks, deferral or templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from sagemaker_byoc.console import log_url, transform_job_url
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.job_stop import PaidJob
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.naming import attempt_name
from sagemaker_byoc.retry import aws_code
from sagemaker_byoc.s3_location import S3Location
from sagemaker_byoc.transform_job_status import LOG_GROUP, TransformJobLook, explain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["Attempt", "TransformJobHook", "paid_job"]

_ABSENT = ("Could not find", "Requested resource not found")
"""How AWS begins to say that there is no such job: observed of jobs of its kinds, promised nowhere."""

_OVER = "The request was rejected because the transform job is in status"
_SUFFIX = ".out"
_ANSWERS = "answers"


class Attempt(NamedTuple):
    """A job that was found or made.

    :param created: whether it was made now
    """

    look: TransformJobLook
    created: bool


class TransformJobHook:
    """Batch transform jobs of one connection."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def look(self, name: str) -> TransformJobLook:
        """Describe a job.

        :raises RequestError: there is none of that name
        """
        look = self.find(name)
        if look is None:
            allowed = f"the name of a transform job in {self._connection.region}"
            raise RequestError("transform_job_name", name, allowed, "Was it deleted?")
        return look

    def find(self, name: str) -> TransformJobLook | None:
        """Describe a job; None when there is none of that name."""
        client = self._connection.client("sagemaker")
        try:
            description: dict[str, Any] = client.describe_transform_job(TransformJobName=name)
        except client.exceptions.ClientError as error:
            if is_absent(error):
                return None
            raise
        return TransformJobLook.of(description)

    def adopt_or_create(
        self,
        request: Mapping[str, Any],
        base: str,
        tags: Sequence[Mapping[str, str]],
        *,
        before_create: Callable[[], None],
        waited: Collection[str] = (),
    ) -> Attempt:
        """See to it that there is one job for a request, however many runs and tries ask for it.

        A job that runs, or has completed and left answers, is adopted; past any other, the ordinal in the name moves
        on.

        :param request: checked CreateTransformJob request without tags; its name is replaced, and each attempt has a
            folder of its own below its S3OutputPath
        :param base: readable beginning of the name
        :param before_create: called before a job is made, for what it reads
        :param waited: names of jobs that are returned however they ended, since a task waited for their end
        """
        content = {member: value for member, value in request.items() if member != "TransformJobName"}
        ordinal = 1
        while True:
            name = attempt_name(base, content, ordinal)
            found = self.find(name)
            if found is None:
                before_create()
                found = self._create(_named(content, name, tags))
            if found is None:
                return Attempt(TransformJobLook(name, "InProgress"), created=True)
            if name in waited or self._is_adopted(found):
                return Attempt(found, created=False)
            ordinal += 1

    def stop(self, name: str) -> bool:
        """Stop a job.

        :return: False when it had ended already
        """
        client = self._connection.client("sagemaker")
        try:
            client.stop_transform_job(TransformJobName=name)
        except client.exceptions.ClientError as error:
            if _OVER in str(error) or is_absent(error):
                return False
            raise
        return True

    def answers(self, look: TransformJobLook, inputs: Sequence[str]) -> list[bytes]:
        """Return what a completed job answered to each of its input objects; of those without an answer, nothing.

        :param inputs: the objects' names behind their prefix, in order
        """
        keys = {key.rpartition("/")[2]: key for key in self._answer_keys(look)}
        found = [keys[f"{name}{_SUFFIX}"] for name in inputs if f"{name}{_SUFFIX}" in keys]
        bucket = S3Location.parse(look.output_path, "S3OutputPath").bucket
        client = self._connection.client("s3")
        return [bytes(client.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in found]

    def story(self, look: TransformJobLook) -> str:
        """Gather what a person needs to understand the end of a job."""
        region = self._connection.region
        links = {
            "Job": transform_job_url(region, look.name),
            "Log": log_url(region, LOG_GROUP, f"{look.name}/"),
        }
        return explain(look, LogHook(self._connection).last_words(LOG_GROUP, f"{look.name}/"), links)

    def _is_adopted(self, look: TransformJobLook) -> bool:
        if look.status == "Completed":
            # A lifecycle rule may have taken them.
            return any(True for _ in self._answer_keys(look))
        return look.status == "InProgress"

    def _answer_keys(self, look: TransformJobLook) -> Iterator[str]:
        """Yield the keys of all answers, in which folder below the output path AWS may have put them."""
        place = S3Location.parse(look.output_path, "S3OutputPath")
        pages = self._connection.client("s3").get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=place.bucket, Prefix=f"{place.key.rstrip('/')}/"):
            yield from (each["Key"] for each in page.get("Contents", []) if each["Key"].endswith(_SUFFIX))

    def _create(self, request: Mapping[str, Any]) -> TransformJobLook | None:
        """Create the job and return None; return the job that has its name by now."""
        client = self._connection.client("sagemaker")
        try:
            client.create_transform_job(**request)
        except client.exceptions.ResourceInUse:
            # Another run was faster. As long as AWS does not show its job, the refusal stands: another name would be a
            # second job.
            look = self.find(request["TransformJobName"])
            if look is None:
                raise
            return look
        return None


def paid_job(connection: AwsConnection, name: str) -> PaidJob:
    """Return a job as far as it can be stopped."""
    return PaidJob(
        f"transform job {name}",
        lambda: TransformJobHook(connection).stop(name),
        lambda: transform_job_url(connection.region, name),
    )


def is_absent(error: Exception) -> bool:
    """Tell whether AWS says that there is no such job: in words, by the code that its model promises, or both."""
    return aws_code(error) == "ResourceNotFound" or any(text in str(error) for text in _ABSENT)


def _named(content: Mapping[str, Any], name: str, tags: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    output = content["TransformOutput"]
    place = f"{output['S3OutputPath'].rstrip('/')}/{_ANSWERS}/{name}"
    return {
        **content,
        "TransformJobName": name,
        "TransformOutput": {**output, "S3OutputPath": place},
        "Tags": list(tags),
    }
