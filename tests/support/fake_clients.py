"""Stand-ins for the boto3 clients of ``Cloud``: the AWS edge of the parts of the local AWS."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any
from unittest.mock import MagicMock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["FakeCloud", "FakeS3"]


class FakeCloud:
    """A cloud whose clients record what they are called with.

    :param clients: service → client; any other is a recorder made on demand
    """

    def __init__(self, **clients: Any) -> None:
        self.clients = clients
        self.region = "eu-west-1"

    def client(self, service: str) -> Any:
        """Return the service's client."""
        return self.clients.setdefault(service, MagicMock(name=service))

    def credentials(self) -> dict[str, str]:
        """Return recognisable keys."""
        return {"AWS_ACCESS_KEY_ID": "key"}

    def calls(self, service: str, operation: str) -> list[dict[str, Any]]:
        """Return the arguments of all calls of an operation."""
        return [call.kwargs for call in getattr(self.client(service), operation).call_args_list]


class FakeS3:
    """S3 with one bucket, in a directory.

    :param root: where the objects are, by key
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        """Copy a file in."""
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)

    def download_file(self, bucket: str, key: str, path: str) -> None:
        """Copy a file out."""
        shutil.copyfile(self.root / key, path)

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803 - boto3's names
        """Take a file away."""
        (self.root / Key).unlink()

    def get_paginator(self, operation: str) -> FakeS3:
        """Return what pages: this, in pages of one."""
        return self

    def paginate(self, *, Bucket: str, Prefix: str) -> Iterator[dict[str, Any]]:  # noqa: N803 - boto3's names
        """Yield one page for each key, in order, and an empty one."""
        yield {}
        for key in self.keys():
            if key.startswith(Prefix):
                yield {"Contents": [{"Key": key}]}

    def keys(self) -> list[str]:
        """Return all keys in order."""
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())
