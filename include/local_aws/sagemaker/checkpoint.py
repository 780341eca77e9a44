"""Keeps the checkpoint directories of a job and their place in S3 alike.

Owns copying in at the start and copying out while the job runs. All hosts share the one place in S3. Must not
know jobs or statuses.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

import boto3.exceptions
import botocore.exceptions

from local_aws.sagemaker.channel import DownloadError, S3Object, download
from local_aws.sagemaker.s3_location import S3Location

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

__all__ = ["CheckpointSync"]

_logger = logging.getLogger(__name__)

_POLL_SECONDS = 1.0
_NEVER_UPLOADED = (".sagemaker-uploading", ".sagemaker-uploaded", ".sagemaker-ignore")
"""Endings that AWS's own agent uses for its markers, and the one with which a container keeps a file to itself."""

_State = tuple[int, int]


class CheckpointSync:
    """The copying for one job.

    :param s3: boto3 client
    :param location: ``S3Uri`` of the CheckpointConfig
    :param directories: the checkpoint directory of each host
    """

    def __init__(self, s3: Any, location: S3Location, directories: Sequence[Path]) -> None:
        self._s3 = s3
        self._location = location
        self._known: dict[Path, dict[str, _State]] = {directory: {} for directory in directories}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"checkpoints {location}", daemon=True)

    def copy_in(self) -> list[str]:
        """Bring what S3 holds to every host, once: what is added there later does not come.

        :return: the URIs of the objects
        :raises DownloadError: when S3 refuses
        """
        objects = self._objects()
        for directory in self._known:
            download(self._s3, objects, directory)
            self._known[directory] = dict(_files(directory))
        return [str(item.location) for item in objects]

    def _objects(self) -> list[S3Object]:
        try:
            return [self._object(key) for key in self._folder().keys(self._s3)]
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            message = f"Failed to list {self._location}: {error}"
            raise DownloadError(message) from error

    def start(self) -> None:
        """Begin to copy out, about once a second."""
        self._thread.start()

    def close(self) -> None:
        """Stop, after a last look: AWS does not say whether it takes one, but no checkpoint should be lost."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(_POLL_SECONDS):
            self._copy_out()
        self._copy_out()

    def _copy_out(self) -> None:
        for directory, known in self._known.items():
            self._copy_directory(directory, known)

    def _copy_directory(self, directory: Path, known: dict[str, _State]) -> None:
        try:
            self._mirror(directory, known)
        except (
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            boto3.exceptions.S3UploadFailedError,
            OSError,
            ValueError,
        ) as error:
            # A file may vanish or grow under our hands; the next look sees it as it is then.
            _logger.warning("Checkpoints of %s: %s; trying again", directory, error)

    def _mirror(self, directory: Path, known: dict[str, _State]) -> None:
        present = dict(_files(directory))
        for name in [name for name in known if name not in present]:
            self._s3.delete_object(Bucket=self._location.bucket, Key=self._key(name))
            del known[name]
        for name, state in present.items():
            if known.get(name) != state:
                self._s3.upload_file(str(directory / name), self._location.bucket, self._key(name))
                known[name] = state

    def _folder(self) -> S3Location:
        return self._location.below("")

    def _key(self, name: str) -> str:
        return self._location.below(name).key

    def _object(self, key: str) -> S3Object:
        return S3Object(S3Location(self._location.bucket, key), self._folder().relative(key))


def _files(directory: Path) -> Iterator[tuple[str, _State]]:
    """Yield name and (modification time, size) of each file that belongs into S3."""
    for path in directory.rglob("*"):
        if path.name.endswith(_NEVER_UPLOADED):
            continue
        try:
            status = path.stat()
        except FileNotFoundError:
            continue
        if path.is_file():
            yield path.relative_to(directory).as_posix(), (status.st_mtime_ns, status.st_size)
