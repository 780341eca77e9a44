"""Brings the data of a channel from S3 into a host's directory.

Owns which objects a channel has, the refusal where it has none, which host gets which, and under what path each one
lands. Must not know jobs or statuses.
"""

from __future__ import annotations

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from local_aws.errors import validation
from local_aws.sagemaker.s3_location import S3Location, read_location

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.cloud import Cloud

__all__ = ["DownloadError", "S3Object", "download", "find_objects", "require_objects", "shard"]

_PARALLEL = 8


class DownloadError(Exception):
    """The data cannot be brought in; the text says which object and why."""


@dataclass(frozen=True)
class S3Object:
    """One object of a channel.

    :param location: where it is
    :param path: where it goes, relative to the channel's directory; a folder when it ends in a slash
    """

    location: S3Location
    path: str


def find_objects(s3: Any, channel: Mapping[str, Any]) -> list[S3Object]:
    """Return the objects of a channel in the order of their keys, or in that of its manifest.

    :param s3: boto3 client
    :param channel: member of InputDataConfig, with an S3DataSource
    :raises DownloadError: when S3 refuses or the manifest cannot be read
    """
    source = channel["DataSource"]["S3DataSource"]
    try:
        location = S3Location.parse(source["S3Uri"])
        if source["S3DataType"] == "ManifestFile":
            objects = _manifest_objects(s3, location)
        else:
            objects = [S3Object(S3Location(location.bucket, key), location.relative(key)) for key in location.keys(s3)]
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, ValueError, RecursionError) as error:
        message = f"Failed to list {source['S3Uri']}: {error}"
        raise DownloadError(message) from error
    if "ShuffleConfig" in channel:
        random.Random(channel["ShuffleConfig"]["Seed"]).shuffle(objects)  # noqa: S311 - the request names the seed
    return objects


def require_objects(channel: Mapping[str, Any], cloud: Cloud, *, path: str, role: str) -> None:
    """Refuse the request of a job whose data is not there.

    :param channel: as for ``find_objects``
    :param path: where its URI is in the request, in the spelling of AWS's messages
    :param role: whose permissions count, as the message names it behind "the role"
    :raises AwsError: ``ValidationException``
    """
    uri = channel["DataSource"]["S3DataSource"]["S3Uri"]
    location = read_location(uri, path)
    try:
        found = bool(find_objects(cloud.client("s3"), channel))
    except DownloadError:
        found = False
    if not found:
        message = (
            f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket '
            f"exists in the selected region ({cloud.region}), that objects exist under that S3 prefix, and that the "
            f'role {role} has "s3:ListBucket" permissions on bucket "{location.bucket}".'
        )
        raise validation(message)


def shard(objects: Sequence[S3Object], index: int, count: int) -> list[S3Object]:
    """Return a host's part of ShardedByS3Key: about one in ``count`` objects.

    AWS publishes no assignment; one real job shows that the first host gets the first key.
    """
    return list(objects[index::count])


def download(s3: Any, objects: Sequence[S3Object], directory: Path, *, read_only: bool = False) -> None:
    """Write objects below a directory, which is made even when there are none.

    :param read_only: take away the write permission, as FastFile's mount does
    :raises DownloadError: when an object cannot be read or its key is no path below the directory
    """
    directory.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        # The list makes the first failure come out here.
        list(pool.map(lambda item: _download_one(s3, item, directory, read_only=read_only), objects))


def _download_one(s3: Any, item: S3Object, directory: Path, *, read_only: bool) -> None:
    target = _target(item, directory)
    try:
        # A key that ends in a slash is an empty "folder" that consoles make; AWS's treatment is not documented.
        if item.path.endswith("/") or not item.path:
            target.mkdir(parents=True, exist_ok=True)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        s3.download_file(item.location.bucket, item.location.key, str(target))
        if read_only:
            target.chmod(0o444)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError) as error:
        message = f"Failed to download data. Object {item.location}: {error}"
        raise DownloadError(message) from error


def _target(item: S3Object, directory: Path) -> Path:
    path = PurePosixPath(item.path)
    if path.is_absolute() or ".." in path.parts or "\0" in item.path:
        message = f"Failed to download data. The key of {item.location} is no path below the channel's directory"
        raise DownloadError(message)
    return directory / path


def _manifest_objects(s3: Any, location: S3Location) -> list[S3Object]:
    """Read ``[{"prefix": "s3://bucket/p/"}, "relative/1", …]``; an entry is an object, its path the relative part."""
    body = s3.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
    entries = json.loads(body)
    if not isinstance(entries, list) or not entries or not isinstance(entries[0], dict) or "prefix" not in entries[0]:
        message = 'the manifest is not of the form [{"prefix": "s3://…"}, "relative/path", …]'
        raise ValueError(message)
    prefix = S3Location.parse(str(entries[0]["prefix"]))
    return [S3Object(S3Location(prefix.bucket, prefix.key + str(path)), str(path)) for path in entries[1:]]
