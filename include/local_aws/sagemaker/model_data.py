"""The data of a model: where it is in S3, and how it gets into ``/opt/ml/model``.

Owns the check, the download and the unpacking. Must not know models or endpoints as resources.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from local_aws.errors import validation
from local_aws.sagemaker.s3_location import S3Location

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ModelData", "ModelDataError"]


class ModelDataError(Exception):
    """The data cannot be brought to the container; the text is the endpoint's FailureReason."""


@dataclass(frozen=True)
class ModelData:
    """Model data of one container.

    :param location: of the archive, or the prefix below which the files lie
    :param is_archive: one ``.tar.gz``; otherwise every object below the prefix is a file
    """

    location: S3Location
    is_archive: bool

    @classmethod
    def of(cls, container: Mapping[str, Any]) -> ModelData | None:
        """Read a ContainerDefinition; None when it has no model data.

        :raises AwsError: ``ValidationException`` for a form that does not exist, here or on AWS
        """
        source = container.get("ModelDataSource", {}).get("S3DataSource")
        if "ModelDataUrl" in container and source:
            raise validation("ModelDataUrl and ModelDataSource cannot both be specified.")
        if source:
            forms = {("S3Object", "Gzip"): True, ("S3Prefix", "None"): False}
            form = (source["S3DataType"], source["CompressionType"])
            if form not in forms or "ManifestS3Uri" in source:
                message = (
                    f"ModelDataSource with S3DataType {form[0]} and CompressionType {form[1]} is not supported by the "
                    "local AWS: use S3Object with Gzip or S3Prefix with None, without a manifest"
                )
                raise validation(message)
            return cls(_location(source["S3Uri"]), forms[form])
        return cls(_location(container["ModelDataUrl"]), is_archive=True) if container.get("ModelDataUrl") else None

    def check(self, s3: Any) -> None:
        """Refuse data that is not there.

        :raises AwsError: ``ValidationException``
        """
        # The wording about the ending is a guess; that it must be .tar.gz is documented.
        if self.is_archive and not self.location.key.endswith(".tar.gz"):
            message = f"Invalid model data {self.location}: it must be a .tar.gz archive."
            raise validation(message)
        try:
            if self.is_archive:
                s3.head_object(Bucket=self.location.bucket, Key=self.location.key)
                return
            if next(self.location.keys(s3), None) is not None:
                return
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            raise self._missing() from error
        raise self._missing()

    def fetch(self, s3: Any, target: Path) -> None:
        """Put the files into ``target``, which is made, and take the right to write from them.

        :raises ModelDataError: when S3 does not have the data any more or the archive cannot be unpacked
        """
        target.mkdir(parents=True, exist_ok=True)
        try:
            if self.is_archive:
                self._unpack(s3, target)
            else:
                self._download(s3, target)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError, OSError, ValueError) as error:
            message = (
                f'Failed to download model data for container "container_1" from URL: "{self.location}". Please ensure '
                "that there is an object located at the URL and that the role passed to CreateModel has permissions to "
                "download the object."
            )
            raise ModelDataError(message) from error
        for path in [target, *target.rglob("*")]:
            path.chmod(0o555 if path.is_dir() else 0o444)

    def _download(self, s3: Any, target: Path) -> None:
        for key in self.location.keys(s3):
            relative = self.location.relative(key)
            if relative and not key.endswith("/"):
                path = _inside(target, relative)
                path.parent.mkdir(parents=True, exist_ok=True)
                s3.download_file(self.location.bucket, key, str(path))

    def _unpack(self, s3: Any, target: Path) -> None:
        with tempfile.TemporaryFile(dir=target.parent) as file:
            s3.download_fileobj(self.location.bucket, self.location.key, file)
            file.seek(0)
            try:
                with tarfile.open(fileobj=file, mode="r:gz") as archive:
                    for member in archive:
                        _extract(archive, member, target)
            except (tarfile.TarError, OSError, EOFError, ValueError) as error:
                message = (
                    f'Failed to extract model data archive for container "container_1" from URL "{self.location}". '
                    f"Please ensure that the object located at the URL is a valid tar.gz archive. ({error})"
                )
                raise ModelDataError(message) from error

    def _missing(self) -> Exception:
        return validation(f"Could not find model data at {self.location}.")


def _location(uri: str) -> S3Location:
    try:
        return S3Location.parse(uri)
    except ValueError as error:
        message = f"Model data at {uri!r}: the local AWS reads only s3://<bucket>/<key>"
        raise validation(message) from error


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    path = _inside(target, member.name)
    if member.isdir():
        path.mkdir(parents=True, exist_ok=True)
        return
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        # Hosting does not take links (developer guide, "Troubleshoot Amazon SageMaker model deployments").
        message = f"{member.name} is neither a file nor a directory; links are not allowed in model data"
        raise ValueError(message)
    path.parent.mkdir(parents=True, exist_ok=True)
    with content, path.open("wb") as file:
        shutil.copyfileobj(content, file)


def _inside(target: Path, name: str) -> Path:
    relative = PurePosixPath(name)
    if relative.is_absolute() or ".." in relative.parts:
        message = f"{name!r} would be outside the model directory"
        raise ValueError(message)
    return target / relative
