"""Makes ECR know what its registry holds, when ECR is asked.

Owns which of the registry's images ECR was told of. Must not know how ECR is asked.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from local_aws.image_push import PushError, push_image
from local_aws.image_reference import ImageReference
from local_aws.registry.build_options import is_of_other_options
from local_aws.registry.client import Registry, RegistryError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from local_aws.cloud import Cloud

__all__ = ["MARK", "Mirror"]

MARK = "local-aws-mirror"
"""Stands in the user agent of the mirror's own calls to ECR, which must not make it look again."""

_logger = logging.getLogger(__name__)


class Mirror:
    """What ECR shows of a registry.

    Looking when asked, and not listening to the registry's events, is certain: what was pushed before an answer is in
    the answer, wherever the registry runs, and a registry that was kept from an earlier life is known as well.

    An image that was built with other options than this life's is not shown: whoever looks for it has to build again.

    :param registry: ECR's data plane
    :param build_options: added to every ``docker build``
    """

    def __init__(self, cloud: Cloud, registry: Registry, build_options: Sequence[str] = ()) -> None:
        self._cloud = cloud
        self._registry = registry
        self._build_options = build_options
        self._shown: dict[tuple[str, str], str] = {}
        self._told: set[tuple[str, str, str]] = set()
        self._is_restored = False
        self._lock = threading.Lock()

    def restore(self) -> None:
        """Make the repositories of an earlier life, once; those that hold nothing any more are left out.

        :raises RegistryError: the registry does not answer; the next call tries again
        """
        with self._lock:
            if self._is_restored:
                return
            for name in self._registry.repositories():
                if self._registry.tags(name):
                    self._create(name)
            self._is_restored = True

    def look(self, repository: str, references: Iterable[str] | None = None) -> None:
        """Make ECR show images of a repository.

        :param references: tags and digests; all that has a tag when None
        :raises RegistryError: the registry does not answer
        """
        for reference in self._registry.tags(repository) if references is None else references:
            manifest = self._registry.manifest(repository, reference)
            if manifest is not None:
                with self._lock:
                    self._show(repository, reference, manifest)

    def digests(self, repository: str) -> set[str]:
        """Return the digests that ECR shows; none when it has no such repository."""
        pages = self._ecr.get_paginator("list_images").paginate(repositoryName=repository)
        try:
            return {image["imageDigest"] for page in pages for image in page["imageIds"]}
        except ClientError:
            return set()

    def forget(self, repository: str, digests: Iterable[str]) -> None:
        """Delete images from the registry that ECR has no longer; an image that lost one of its tags stays."""
        for digest in set(digests) - self.digests(repository):
            try:
                self._registry.delete(repository, digest)
            except RegistryError as error:
                _logger.warning("%s@%s is deleted here, but not there: %s", repository, digest, error)
                continue
            with self._lock:
                gone = [key for key, shown in self._shown.items() if key[0] == repository and shown == digest]
                for key in gone:
                    del self._shown[key]

    @property
    def _ecr(self) -> Any:
        return self._cloud.client("ecr", user_agent=MARK)

    def _create(self, repository: str) -> None:
        try:
            self._ecr.create_repository(repositoryName=repository)
        except ClientError as error:
            # Two kinds: somebody made it already; or the registry takes a name that ECR does not.
            _logger.info("The registry's repository %s is not made in ECR: %s", repository, error)

    def _show(self, repository: str, reference: str, manifest: Any) -> None:
        if self._shown.get((repository, reference)) == manifest.digest:
            return
        if is_of_other_options(self._registry.labels(repository, manifest), self._build_options):
            return
        tag = None if reference == manifest.digest else reference
        try:
            push_image(self._ecr, ImageReference(self._cloud.ecr_host, repository, tag, manifest.digest), manifest)
        except PushError as error:
            # The registry took it long ago: nobody is left to be refused.
            if (repository, reference, manifest.digest) not in self._told:
                self._told.add((repository, reference, manifest.digest))
                _logger.warning("ECR does not show %s of %s: %s", manifest.digest, repository, error)
        else:
            self._shown[repository, reference] = manifest.digest
