"""Fetches records whose right answer is known, from wherever a DAG's author keeps them.

Owns the reading of a file on the worker or in S3. What makes a record stands in ``known_record`` and ``record_text``.
Knows nothing of tasks or templates.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.known_record import read_rows
from sagemaker_byoc.record_text import is_inline, read_records
from sagemaker_byoc.s3_location import SCHEME, S3Location

if TYPE_CHECKING:
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.known_record import KnownRecord

__all__ = ["KnownRecordHook"]


class KnownRecordHook:
    """Records as far as one connection reaches."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def read(self, given: Any, label_column: str) -> list[KnownRecord]:
        """Read records; a template of a list arrives as its text.

        :param given: a path on the worker, an ``s3://`` URI, the text of the records, or the records themselves
        :param label_column: the column of the right answers
        :raises RequestError: there is nothing there, or it cannot be read
        """
        if isinstance(given, str) and is_inline(given):
            return read_records(given.encode(), label_column, source="records (inline)")
        if isinstance(given, str) and given:
            return read_records(self._content(given), label_column, source=given)
        if isinstance(given, Sequence) and not isinstance(given, str):
            return read_rows(given, label_column)
        raise RequestError("records", given, "a path, an s3:// URI, the text of the records or a list of dictionaries")

    def _content(self, location: str) -> bytes:
        if location.startswith(SCHEME):
            return self._object(location)
        try:
            return Path(location).read_bytes()
        except OSError as error:
            allowed = "a file on the worker, an s3:// URI, the text of the records or a list of dictionaries"
            raise RequestError("records", location, allowed, f"It cannot be read: {error.strerror}.") from error

    def _object(self, uri: str) -> bytes:
        location = S3Location.parse(uri, "records")
        client = self._connection.client("s3")
        try:
            content = client.get_object(Bucket=location.bucket, Key=location.key)["Body"].read()
        except (client.exceptions.NoSuchKey, client.exceptions.NoSuchBucket) as error:
            raise RequestError("records", uri, "an object that exists in S3", f"AWS says: {error}") from error
        return bytes(content)
