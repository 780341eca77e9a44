"""What an image is built on: its base images, as far as they can be told apart.

Owns what is known of them, the part of the image's tag that stands for it, and which registries are ECR's. Makes no
call.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sagemaker_byoc.dockerfile import NamedImage

__all__ = ["Bases", "EcrImage", "ecr_registries"]

_ECR_HOST = re.compile(r"(?P<account>\d{12})\.dkr[.-]ecr(?:-fips)?\.(?P<region>[a-z]{2}[a-z0-9-]+)\.[a-z0-9.-]+")
_ECR_IMAGE = re.compile(
    rf"(?P<host>{_ECR_HOST.pattern})/(?P<repository>[^:@]+)(?::(?P<tag>[^@]+))?(?:@(?P<digest>.*))?"
)


@dataclass(frozen=True)
class EcrImage:
    """An image in a private registry of ECR, of whatever account and region.

    Source of the form: https://docs.aws.amazon.com/AmazonECR/latest/userguide/Registries.html
    """

    host: str
    account: str
    region: str
    repository: str
    tag: str
    digest: str = ""

    @classmethod
    def of(cls, name: str) -> EcrImage | None:
        """Read an image's name; None when it is not in ECR."""
        found = _ECR_IMAGE.fullmatch(name)
        if found is None:
            return None
        where = found["host"], found["account"], found["region"], found["repository"]
        return cls(*where, found["tag"] or "latest", found["digest"] or "")

    @property
    def image_id(self) -> dict[str, str]:
        """Return what ECR's calls name the image by: the digest, where there is one."""
        return {"imageDigest": self.digest} if self.digest else {"imageTag": self.tag}


@dataclass(frozen=True)
class Bases:
    """What is known of the base images.

    :param digests: ``sha256:…`` of what lies in a registry, by the name that the Dockerfile has for it
    :param engine_ids: ``sha256:…`` of what only the builder's own engine holds, by name
    :param unknown: names of which a digest could not be had now, though another worker or a later try may have it
    :param copies: digests of the engine's own copies of some of those: older ones, maybe, but what it has to build on
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    engine_ids: Mapping[str, str] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    copies: Mapping[str, str] = field(default_factory=dict)

    def __or__(self, other: Bases) -> Bases:
        """Put two parts of the knowledge together."""
        return Bases(
            {**self.digests, **other.digests},
            {**self.engine_ids, **other.engine_ids},
            (*self.unknown, *other.unknown),
            {**self.copies, **other.copies},
        )

    @property
    def settled(self) -> Bases:
        """What to build on when something must be built now: the engine's copies, where nothing better is known."""
        unknown = [name for name in self.unknown if name not in self.copies]
        return Bases({**self.digests, **self.copies}, self.engine_ids, unknown)

    @property
    def suffix(self) -> str:
        """What the tag says of the base images: empty when nothing is known, else ``-`` and 12 digits (48 bits)."""
        known = {**self.digests, **self.engine_ids}
        if not known:
            return ""
        return "-" + hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def references(self) -> dict[str, str]:
        """What the builder is given in place of each name: the name with its digest."""
        return {name: f"{name}@{digest}" for name, digest in self.digests.items()}


def ecr_registries(images: Iterable[NamedImage]) -> dict[str, str]:
    """Return the region of each host of ECR that the builder has to be let into."""
    found = [EcrImage.of(image.name) for image in images]
    return {image.host: image.region for image in found if image is not None}
