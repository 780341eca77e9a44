"""Tells ECR of each push to the registry.

Owns the registry's notification format and the question for the pushed manifest. Must not know engines.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from local_aws.container import ContainerError
from local_aws.errors import AwsError, validation
from local_aws.image_push import Manifest, PushError, push_image
from local_aws.image_reference import ImageReference

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.cloud import Cloud

__all__ = ["EVENTS_PATH", "Push", "RegistryEvents", "read_pushes"]

EVENTS_PATH = "/_local/registry-events"

_MANIFEST_TYPES = frozenset(
    {
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
    }
)
"""Layers and configurations are pushed too, and ECR shows none of them."""
_TIMEOUT_SECONDS = 10.0

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Push:
    """A manifest that the registry took.

    :param tag: None when it was pushed by digest, as the parts of a multi-platform image are
    """

    repository: str
    digest: str
    media_type: str
    tag: str | None = None


def read_pushes(body: bytes) -> list[Push]:
    """Return the pushed manifests in an envelope of the registry's events (distribution's ``notifications``).

    :raises AwsError: when it is no such envelope
    """
    try:
        return list(_pushes(json.loads(body)["events"]))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"The body is no envelope of registry events: {error!r}; it must be {{'events': [...]}}"
        raise validation(message) from error


def _pushes(events: list[dict[str, Any]]) -> Iterator[Push]:
    for event in events:
        target = event.get("target", {})
        if event.get("action") == "push" and target.get("mediaType") in _MANIFEST_TYPES:
            yield Push(target["repository"], target["digest"], target["mediaType"], target.get("tag") or None)


class RegistryEvents:
    """Takes the registry's events and makes ECR show what was pushed.

    :param registry: ``host:port`` of the registry
    """

    def __init__(self, cloud: Cloud, registry: str) -> None:
        self._cloud = cloud
        self._registry = registry
        self._http = urllib3.PoolManager(timeout=_TIMEOUT_SECONDS, retries=False)

    def __call__(self, body: bytes) -> None:
        """Note every pushed manifest; what ECR would have refused is told in the log only, since it is done.

        :raises AwsError: when the registry cannot be asked; it sends the same events again then
        """
        for push in read_pushes(body):
            reference = self._reference(push)
            manifest = Manifest(self._manifest(push), push.digest, push.media_type)
            try:
                push_image(self._cloud.client("ecr"), reference, manifest)
            except PushError as error:
                _logger.warning("ECR does not show %s of %s: %s", push.digest, push.repository, error)

    def _reference(self, push: Push) -> ImageReference:
        host = f"{self._cloud.account}.dkr.ecr.{self._cloud.region}.amazonaws.com"
        tag = f":{push.tag}" if push.tag else ""
        try:
            return ImageReference.parse(f"{host}/{push.repository}{tag}@{push.digest}")
        except ContainerError as error:
            raise validation(f"The event names no image: {error}") from error

    def _manifest(self, push: Push) -> str:
        # Only the names come from the event: it may not send us to another address.
        url = f"http://{self._registry}/v2/{push.repository}/manifests/{push.digest}"
        try:
            answer = self._http.request("GET", url, headers={"Accept": push.media_type})
        except urllib3.exceptions.HTTPError as error:
            message = f"The registry {self._registry} does not answer: {error}"
            raise AwsError("ServiceUnavailable", message, 503) from error
        if answer.status != 200:
            message = f"The registry {self._registry} answers {answer.status} for {push.repository}@{push.digest}"
            raise AwsError("ServiceUnavailable", message, 503)
        return str(answer.data.decode())
