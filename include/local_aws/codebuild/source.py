"""Brings a build's source from S3.

Owns the download and the unpacking. Must not know what is in the source.
"""

from __future__ import annotations

import io
import stat
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import botocore.exceptions

if TYPE_CHECKING:
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
    :raises SourceError: when there is no such object, it is no zip file, or an entry lies outside of it
    """
    target.mkdir(parents=True)
    if source["type"] == "NO_SOURCE":
        return
    bucket, key = split_location(source["location"])
    try:
        content = cloud.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        message = f"error downloading s3://{bucket}/{key}: {error}"
        raise SourceError(message) from error
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for entry in archive.infolist():
                _extract(archive, entry, target)
    except (zipfile.BadZipFile, zlib.error, RuntimeError, OSError) as error:
        # RuntimeError: an encrypted entry, or a compression that Python does not know.
        message = f"s3://{bucket}/{key} is not a zip file that can be unpacked: {error}"
        raise SourceError(message) from error


def _extract(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path) -> None:
    name = PurePosixPath(entry.filename)
    if name.is_absolute() or ".." in name.parts:
        message = f"the zip file has an entry {entry.filename!r}, which would lie outside of the source directory"
        raise SourceError(message)
    extracted = Path(archive.extract(entry, target))
    mode = entry.external_attr >> 16
    if not entry.is_dir() and stat.S_ISREG(mode):
        # Only permissions: a build has no use for programs that run as somebody else.
        extracted.chmod(mode & 0o777 | 0o600)
