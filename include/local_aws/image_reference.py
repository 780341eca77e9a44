"""The parts of an image URI.

Owns the syntax ``registry/repository[:tag|@digest]``. Must not know where images are.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass

from local_aws.container import ContainerError

__all__ = ["ImageReference"]

_URI = re.compile(
    r"(?P<registry>[^/@\s]+[.:][^/@\s]*)/(?P<repository>[a-z0-9][a-z0-9._/-]*)"
    r"(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class ImageReference:
    """One image URI; without tag and digest it means the tag ``latest``."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, uri: str) -> ImageReference:
        """Read an image URI.

        :raises ContainerError: when it names no registry or is not an image URI
        """
        match = _URI.fullmatch(uri)
        if match is None:
            expected = "<account>.dkr.ecr.<region>.amazonaws.com/<repository>[:tag|@sha256:…]"
            message = f"{uri!r} is no image URI; expected {expected}"
            raise ContainerError(message)
        return cls(**match.groupdict())

    @property
    def image_id(self) -> dict[str, str]:
        """What ECR's requests call ``imageId``; a digest wins over a tag, as in Docker."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag or "latest"}

    @property
    def pinned(self) -> str:
        """The URI by digest."""
        return f"{self.registry}/{self.repository}@{self.digest}"

    def pinned_to(self, digest: str) -> ImageReference:
        """Return the reference to one image by its digest."""
        return dataclasses.replace(self, tag=None, digest=digest)
