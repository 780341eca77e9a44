"""Transforms the objects of a transform job, each into a file of answers.

Owns the order of the answers in a file, and that an object with a bad record has no file. Must not know instances,
statuses or uploads.
"""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import botocore.exceptions

from local_aws.sagemaker.transform_client import CLIENT_ERROR, NoPredictionError
from local_aws.sagemaker.transform_payload import PayloadTooLargeError, payloads

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import Path

    from local_aws.sagemaker.channel import S3Object
    from local_aws.sagemaker.transform_client import TransformClient
    from local_aws.sagemaker.transform_log import TransformLog
    from local_aws.sagemaker.transform_parameters import TransformParameters

__all__ = ["ObjectTransform"]

_UNUSABLE = (
    botocore.exceptions.BotoCoreError,
    botocore.exceptions.ClientError,
    PayloadTooLargeError,
    OSError,
    EOFError,
    zlib.error,
)
"""What an object can be that cannot be sent: not there, too large for a request, or no gzip file."""


class ObjectTransform:
    """How the objects of one job become files, over one container.

    :param request: CreateTransformJob request
    :param parameters: how to send
    :param s3: boto3 client
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        parameters: TransformParameters,
        client: TransformClient,
        log: TransformLog,
        s3: Any,
    ) -> None:
        self._is_compressed = request["TransformInput"].get("CompressionType") == "Gzip"
        self._by_line = request["TransformInput"].get("SplitType") == "Line"
        self._end = b"\n" if request["TransformOutput"].get("AssembleWith") == "Line" else b""
        self._parameters = parameters
        self._client = client
        self._log = log
        self._s3 = s3

    def run(self, item: S3Object, directory: Path) -> Path:
        """Transform one object and return the file of its answers.

        :param directory: for the object and its answers; made here
        :raises NoPredictionError: when it cannot be read, or one of its records got no prediction
        :raises CancelledError: when the job is being stopped
        """
        name = f"{item.location.bucket}/{item.location.key}"
        directory.mkdir(parents=True)
        target = directory / "answers"
        try:
            with self._open(item, directory / "object") as source, target.open("wb") as file:
                for answer in self._answers(name, payloads(source, self._parameters, by_line=self._by_line)):
                    # Also after an answer that ends in one itself, as in the local mode of AWS's own SDK.
                    file.write(answer + self._end)
        except _UNUSABLE as error:
            self._log.unusable(name, str(error))
            raise NoPredictionError(CLIENT_ERROR) from error
        return target

    @contextlib.contextmanager
    def _open(self, item: S3Object, path: Path) -> Iterator[BinaryIO]:
        self._s3.download_file(item.location.bucket, item.location.key, str(path))
        with gzip.open(path) if self._is_compressed else path.open("rb") as file:
            yield cast("BinaryIO", file)

    def _answers(self, name: str, bodies: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the answers in the order of the bodies; no more bodies are read than are under way."""
        waiting: deque[Future[bytes]] = deque()
        with ThreadPoolExecutor(self._parameters.parallel) as pool:
            try:
                for body in bodies:
                    if len(waiting) == self._parameters.parallel:
                        yield waiting.popleft().result()
                    waiting.append(pool.submit(self._client.ask, name, body))
                while waiting:
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()
