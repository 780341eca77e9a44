"""Calls that find out where a model comes from, and that write it down.

Owns the listing of a job's data and the place of the record. What is recorded is decided in ``lineage``.
"""

from __future__ import annotations

import hashlib
import logging
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.lineage import DataChannel, DataObject
from sagemaker_byoc.retry import is_permanent
from sagemaker_byoc.s3_location import SCHEME, S3Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["LineageHook"]

log = logging.getLogger(__name__)

_RECORD = "model_package.json"
_CONTENT_TYPE = "application/json"


class LineageHook:
    """The data and the record of one connection's jobs.

    :param maximum_objects: list at most so many objects of a channel
    """

    def __init__(self, connection: AwsConnection, *, maximum_objects: int) -> None:
        self._connection = connection
        self._maximum_objects = maximum_objects

    def channels(self, job: Mapping[str, Any]) -> list[DataChannel]:
        """Return what each channel of a job holds now.

        :param job: the answer of DescribeTrainingJob
        """
        return [self._channel(channel, job) for channel in job.get("InputDataConfig", [])]

    def write(self, record: bytes, artifact: str) -> dict[str, str]:
        """Put the record beside the artifact; return where it is, as a MetricsSource of the API."""
        beside = S3Location.parse(artifact, "training_job.model_artifacts")
        place = S3Location(beside.bucket, f"{beside.key.rpartition('/')[0]}/{_RECORD}".lstrip("/"))
        self._connection.client("s3").put_object(
            Bucket=place.bucket, Key=place.key, Body=record, ContentType=_CONTENT_TYPE
        )
        return {
            "ContentType": _CONTENT_TYPE,
            "S3Uri": place.uri,
            "ContentDigest": f"sha256:{hashlib.sha256(record).hexdigest()}",
        }

    def _channel(self, channel: Mapping[str, Any], job: Mapping[str, Any]) -> DataChannel:
        name, source = channel["ChannelName"], channel["DataSource"].get("S3DataSource", {})
        uri = source.get("S3Uri", "")
        if source.get("S3DataType") != "S3Prefix" or not uri.startswith(SCHEME):
            return DataChannel(name, uri)
        try:
            listed = list(self._listed(uri))
        except Exception as error:
            if not is_permanent(error) or isinstance(error, RequestError):
                raise
            log.warning("Channel %s: %s cannot be listed, so its objects are not recorded: %s", name, uri, error)
            return DataChannel(name, uri)
        if len(listed) > self._maximum_objects:
            log.warning("Channel %s has more than %d objects, which are not recorded.", name, self._maximum_objects)
            return DataChannel(name, uri)
        began = job.get("TrainingStartTime") or job["CreationTime"]
        prefix = S3Location.parse(uri, "S3Uri", whole_bucket=True).key
        objects = [DataObject(one["Key"].removeprefix(prefix), one["ETag"].strip('"'), one["Size"]) for one in listed]
        return DataChannel(name, uri, objects, changed=sum(one["LastModified"] > began for one in listed))

    def _listed(self, uri: str) -> Iterator[dict[str, Any]]:
        """Yield the objects below a prefix, one more than the maximum at most."""
        location = S3Location.parse(uri, "S3Uri", whole_bucket=True)
        pages = self._connection.client("s3").get_paginator("list_objects_v2")
        limit = {"MaxItems": self._maximum_objects + 1}
        for page in pages.paginate(Bucket=location.bucket, Prefix=location.key, PaginationConfig=limit):
            yield from page.get("Contents", [])
