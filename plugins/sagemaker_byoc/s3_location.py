"""Where an object, or a group of objects, lies in S3.

Owns the reading of ``s3://`` URIs. A key may hold ``#``, ``?`` and empty steps, so it is not a web address. Makes no
call.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sagemaker_byoc.errors import RequestError

__all__ = ["SCHEME", "S3Location"]

SCHEME = "s3://"


@dataclass(frozen=True)
class S3Location:
    """An object, or all objects whose keys begin alike.

    :param key: of the object, or the beginning of the keys; empty for the whole bucket
    """

    bucket: str
    key: str

    @property
    def uri(self) -> str:
        """Return the address."""
        return f"{SCHEME}{self.bucket}/{self.key}"

    @classmethod
    def parse(cls, uri: Any, field: str, *, whole_bucket: bool = False) -> S3Location:
        """Read a URI, taking everything behind the bucket as the key, character by character.

        :param field: how the message names the URI
        :param whole_bucket: whether the key may be missing
        :raises RequestError: it is no S3 URI, or names no bucket or no key
        """
        location = cls._of(uri) if isinstance(uri, str) and uri.startswith(SCHEME) else cls("", "")
        if not location.bucket or not (location.key or whole_bucket):
            allowed = "s3://<bucket> or s3://<bucket>/<prefix>" if whole_bucket else "s3://<bucket>/<key>"
            raise RequestError(field, uri, allowed)
        return location

    @classmethod
    def _of(cls, uri: str) -> S3Location:
        bucket, _, key = uri.removeprefix(SCHEME).partition("/")
        return cls(bucket, key)
