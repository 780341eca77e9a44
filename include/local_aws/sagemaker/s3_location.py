"""S3 URIs and what lies below them.

Owns the splitting of URIs and the listing of keys. Must not know why something is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["S3Location", "read_location"]


@dataclass(frozen=True)
class S3Location:
    """A bucket and a key or key prefix."""

    bucket: str
    key: str

    @classmethod
    def parse(cls, uri: str) -> S3Location:
        """Read ``s3://bucket/key``.

        :raises ValueError: when it is not of that form
        """
        scheme, separator, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not separator or not bucket:
            message = f"{uri!r} is not of the form s3://bucket/key"
            raise ValueError(message)
        return cls(bucket, key)

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"

    def below(self, *parts: str) -> S3Location:
        """Return a location below this one, with exactly one slash between the parts."""
        head = self.key.rstrip("/")
        return S3Location(self.bucket, "/".join([*([head] if head else []), *parts]))

    def keys(self, s3: Any) -> Iterator[str]:
        """Yield every key that starts with this one, in S3's order (by UTF-8 bytes).

        :param s3: boto3 client
        """
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.key)
        for page in pages:
            for item in page.get("Contents", ()):
                yield item["Key"]

    def relative(self, key: str) -> str:
        """Return the path that a key below this prefix gets on disk.

        A prefix that names a folder is taken away with its slash; one that is only the start of a file name leaves
        the whole file name: ``data/train`` makes ``data/train-data.csv`` into ``train-data.csv``.
        """
        folder = self.key if self.key.endswith("/") else f"{self.key}/"
        if self.key and key.startswith(folder):
            return key[len(folder) :]
        return key[self.key.rfind("/") + 1 :]


def read_location(uri: str, path: str) -> S3Location:
    """Read a URI of a request.

    :param path: where it is in the request, in the spelling of AWS's messages
    :raises AwsError: ``ValidationException``: the model allows ``https://s3…/bucket/key`` too
    """
    try:
        return S3Location.parse(uri)
    except ValueError as error:
        message = f"Value '{uri}' at '{path}' is no S3 URI that the local AWS reads: {error}"
        raise validation(message) from error
