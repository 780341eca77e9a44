"""Brings a build's source from S3.

Owns the download and the unpacking. Must not know what is in the source.
"""

from __future__ import annotations

import io
import stat
import zipfile
from typing import TYPE_CHECKING, Any

import botocore.exceptions

if TYPE_CHECKING:
    from pathlib import Path

    from local_aws.cloud import Cloud

__all__ = ["SourceError", "download_source", "split_location"]


class SourceError(Exception):
    """The source cannot be had."""


def split_location(location: str) -> tuple[str, str]:
    """Return bucket and key of ``bucket/key`` or ``arn:aws:s3:::bucket/key``.

    :raises SourceError: when one of them is missing
    """
    bucket, _, key = location.removeprefix("arn:aws:s3:::").partition("/")
    if not bucket or not key:
        message = f"source location is {location!r}; expected <bucket>/<key of a zip file>"
        raise SourceError(message)
    return bucket, key


def download_source(cloud: Cloud, source: dict[str, Any], target: Path) -> None:
    """Unpack the source into ``target``, which is made; a build without source gets it empty.

    :param source: ``ProjectSource`` of type ``S3`` or ``NO_SOURCE``
    :raises SourceError: when there is no such object or it is no zip file
    """
    target.mkdir(parents=True)
    if source["type"] == "NO_SOURCE":
        return
    bucket, key = split_location(source["location"])
    try:
        content = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except botocore.exceptions.ClientError as error:
        message = f"error downloading s3://{bucket}/{key}: {error.response['Error']['Message']}"
        raise SourceError(message) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                _extract(archive, entry, target)
    except zipfile.BadZipFile as error:
        message = f"s3://{bucket}/{key} is not a zip file: {error}"
        raise SourceError(message) from error


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    archive.extract(entry, target)  # It takes leading slashes and `..` out of names itself.
    mode = entry.external_attr >> 16
    if not entry.is_dir() and stat.S_ISREG(mode):
        (target / entry.filename).chmod(stat.S_IMODE(mode) | 0o600)
