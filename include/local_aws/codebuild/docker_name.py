"""What an image is called in ECR and what the Docker engine calls it.

Owns the translation of names in command lines, Dockerfiles and output. Must not run anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

__all__ = ["DockerNames"]

_INSTRUCTIONS_WITH_IMAGES = re.compile(r"\s*(?:ARG|COPY|FROM)\s", re.IGNORECASE)


@dataclass(frozen=True)
class DockerNames:
    """Two names of one registry.

    :param ecr_host: ``<account>.dkr.ecr.<region>.amazonaws.com``, which resolves to AWS or to nothing
    :param registry: ``host:port`` behind which the engine finds it
    """

    ecr_host: str
    registry: str

    def to_engine(self, argument: str) -> str:
        """Return an argument of ``docker`` with ECR's host, wherever it stands, replaced by the registry."""
        return self._ecr.sub(self.registry, argument)

    def dockerfile_to_engine(self, text: str) -> str:
        """Return a Dockerfile that takes its images from the registry; what it writes into the image stays."""
        lines = text.splitlines(keepends=True)
        return "".join(self.to_engine(line) if _INSTRUCTIONS_WITH_IMAGES.match(line) else line for line in lines)

    def to_ecr(self, output: bytes) -> bytes:
        """Return a line of output in which images have the names that the build knows."""
        return self._engine.sub(self.ecr_host.encode(), output)

    @cached_property
    def _ecr(self) -> re.Pattern[str]:
        return re.compile(rf"(?<![\w.-]){re.escape(self.ecr_host)}(?=/|\s|$)")

    @cached_property
    def _engine(self) -> re.Pattern[bytes]:
        return re.compile(rf"(?<![\w.-]){re.escape(self.registry)}(?=/)".encode())
