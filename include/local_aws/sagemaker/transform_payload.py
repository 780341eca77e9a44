"""Cuts an input object of a transform job into the bodies of its requests.

Owns records and how many of them go together. Must not know where the bytes come from, nor who gets them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.sagemaker.transform_parameters import TransformParameters

__all__ = ["PayloadTooLargeError", "payloads"]


class PayloadTooLargeError(Exception):
    """A record, or an object that is not split, has more bytes than one request may have."""


def payloads(file: BinaryIO, parameters: TransformParameters, *, by_line: bool) -> Iterator[bytes]:
    """Yield the bodies in the order of the records.

    A record keeps its line end, as in the local mode of AWS's own SDK; an empty line is a record too.

    :param by_line: a record is a line; otherwise the whole file is one
    :raises PayloadTooLargeError: when a record does not fit into a request
    """
    most = parameters.payload_bytes
    records = _lines(file, most) if by_line else _whole(file, most)
    return records if parameters.is_single else _together(records, most)


def _whole(file: BinaryIO, most: int) -> Iterator[bytes]:
    yield _fitting(file.read(most + 1), most)


def _lines(file: BinaryIO, most: int) -> Iterator[bytes]:
    # The limit keeps a file without line ends out of the memory.
    while line := file.readline(most + 1):
        yield _fitting(line, most)


def _fitting(record: bytes, most: int) -> bytes:
    if len(record) > most:
        message = f"more than {most} bytes"
        raise PayloadTooLargeError(message)
    return record


def _together(records: Iterator[bytes], most: int) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for record in records:
        if batch and size + len(record) > most:
            yield b"".join(batch)
            batch, size = [], 0
        batch.append(record)
        size += len(record)
    if batch:
        yield b"".join(batch)
