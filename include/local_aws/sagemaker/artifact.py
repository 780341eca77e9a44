"""Packs what a training job made and brings it to S3.

Owns ``model.tar.gz``, ``output.tar.gz`` and the merging of several hosts. Must not know jobs or statuses.
"""

from __future__ import annotations

import logging
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3.exceptions
import botocore.exceptions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from local_aws.sagemaker.s3_location import S3Location

__all__ = ["Artifact", "UploadError"]

_logger = logging.getLogger(__name__)
_GZIP_LEVEL = 6


class UploadError(Exception):
    """S3 did not take the artifact; the text says where and why."""


@dataclass(frozen=True)
class Artifact:
    """One output of a job: the model, or the output data.

    :param name: ``model`` or ``output``
    :param folder: S3 folder of the job's output
    :param compressed: one ``<name>.tar.gz``; otherwise single objects below ``<name>/``, a layout that AWS's public
        documentation does not give
    """

    name: str
    folder: S3Location
    compressed: bool = True

    @property
    def location(self) -> S3Location:
        """Where the artifact is, or would be when there is anything to keep."""
        return self.folder.below(f"{self.name}.tar.gz" if self.compressed else f"{self.name}/")

    def upload(self, s3: Any, directories: Sequence[Path], scratch: Path) -> bool:
        """Merge the directories of all hosts and upload them; an empty result makes no object.

        :param s3: boto3 client
        :param directories: one for each host; when two have the same file, the first one's is kept
        :param scratch: directory for the archive
        :return: whether there was anything to upload
        :raises UploadError: when S3 refuses
        """
        files = _merged(directories)
        if not files:
            return False
        try:
            if self.compressed:
                self._upload_archive(s3, files, scratch)
            else:
                self._upload_files(s3, files)
        except (
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            boto3.exceptions.S3UploadFailedError,
            OSError,
        ) as error:
            message = f"Failed to upload {self.location}: {error}"
            raise UploadError(message) from error
        return True

    def _upload_archive(self, s3: Any, files: dict[str, Path], scratch: Path) -> None:
        archive = scratch / f"{self.name}.tar.gz"
        with tarfile.open(archive, "w:gz", compresslevel=_GZIP_LEVEL) as tar:
            for name, path in files.items():
                _add(tar, path, name)
        s3.upload_file(str(archive), self.location.bucket, self.location.key)
        archive.unlink()

    def _upload_files(self, s3: Any, files: dict[str, Path]) -> None:
        for name, path in files.items():
            if path.is_file():
                s3.upload_file(str(path), self.location.bucket, f"{self.location.key}{name}")
            elif not path.is_dir():
                _warn_of_no_data(path)


def _merged(directories: Sequence[Path]) -> dict[str, Path]:
    """Return path in the archive → file, parents before children."""
    files: dict[str, Path] = {}
    for directory in directories:
        for path in sorted(directory.rglob("*")):
            name = path.relative_to(directory).as_posix()
            if name in files and not path.is_dir():
                _logger.warning("Two hosts wrote %s; the file of %s is left out", name, directory)
            files.setdefault(name, path)
    return files


def _add(tar: tarfile.TarFile, path: Path, name: str) -> None:
    """Add one member, given to root as on the platform; sockets and pipes are no data."""
    # The stub does not know that a socket makes no member.
    member: tarfile.TarInfo | None = tar.gettarinfo(path, name)
    if member is None or not (member.isreg() or member.islnk() or member.isdir() or member.issym()):
        _warn_of_no_data(path)
        return
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    if member.islnk():
        # A second name of a file is packed as a file: who takes only files out of a model would lose a link.
        member.type, member.linkname, member.size = tarfile.REGTYPE, "", path.stat().st_size
    if not member.isreg():
        tar.addfile(member)
        return
    with path.open("rb") as content:
        tar.addfile(member, content)


def _warn_of_no_data(path: Path) -> None:
    _logger.warning("%s is neither a file nor a directory and is left out", path)
