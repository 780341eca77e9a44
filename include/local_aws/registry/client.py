"""Speaks to a Docker registry.

Owns the calls of the registry's HTTP API (distribution, "HTTP API V2") and what its answers mean. Must not know ECR.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urljoin

import urllib3

from local_aws.image_push import Manifest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Registry", "RegistryError"]

_MANIFEST_TYPES = (
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.manifest.v1+json",
    "application/vnd.oci.image.index.v1+json",
)
_TIMEOUT_SECONDS = 10.0
_PAGE = 100
_MISSING = frozenset({400, 404})
"""400 is the answer to a name that no registry can have."""


class RegistryError(Exception):
    """The registry does not answer, or not as a registry does."""


class Registry:
    """A registry without login.

    :param address: ``host:port``
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self._http = urllib3.PoolManager(timeout=_TIMEOUT_SECONDS, retries=False)

    def repositories(self) -> Iterator[str]:
        """Yield the names of all repositories, page by page; one whose images were deleted is still among them.

        :raises RegistryError: the registry does not answer
        """
        path: str | None = f"/v2/_catalog?n={_PAGE}"
        while path is not None:
            answer = self._ask("GET", path)
            yield from _document(answer).get("repositories") or ()
            path = _next_page(answer, path)

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository; none when there is no such repository.

        :raises RegistryError: the registry does not answer
        """
        answer = self._ask("GET", _path(repository, "tags", "list"), may_be_missing=True)
        return [] if answer.status in _MISSING else sorted(_document(answer).get("tags") or ())

    def manifest(self, repository: str, reference: str) -> Manifest | None:
        """Return the manifest that a tag or a digest names; None when there is none.

        :raises RegistryError: the registry does not answer
        """
        headers = {"Accept": ", ".join(_MANIFEST_TYPES)}
        answer = self._ask("GET", _path(repository, "manifests", reference), headers, may_be_missing=True)
        if answer.status in _MISSING:
            return None
        digest = answer.headers.get("Docker-Content-Digest") or f"sha256:{hashlib.sha256(answer.data).hexdigest()}"
        return Manifest(answer.data.decode(), digest, answer.headers.get("Content-Type"))

    def labels(self, repository: str, manifest: Manifest) -> dict[str, str]:
        """Return the labels of an image; none for a list of images, each of which has its own.

        :raises RegistryError: the registry does not answer
        """
        digest = (json.loads(manifest.text).get("config") or {}).get("digest")
        if digest is None:
            return {}
        answer = self._ask("GET", _path(repository, "blobs", digest), may_be_missing=True)
        if answer.status in _MISSING:
            return {}
        return (_document(answer).get("config") or {}).get("Labels") or {}

    def delete(self, repository: str, digest: str) -> None:
        """Delete a manifest with all of its tags; harmless when it is gone. Its layers stay until a garbage collection.

        :raises RegistryError: the registry does not answer, or does not allow it
        """
        self._ask("DELETE", _path(repository, "manifests", digest), may_be_missing=True)

    def _ask(
        self, method: str, path: str, headers: dict[str, str] | None = None, *, may_be_missing: bool = False
    ) -> Any:
        try:
            answer = self._http.request(method, f"http://{self.address}{path}", headers=headers)
        except urllib3.exceptions.HTTPError as error:
            message = f"the registry {self.address} does not answer: {error}; start it, or give another with --registry"
            raise RegistryError(message) from error
        if answer.status >= 300 and not (may_be_missing and answer.status in _MISSING):
            message = f"the registry {self.address} answers {answer.status} to {method} {path}"
            raise RegistryError(message)
        return answer


def _path(repository: str, *rest: str) -> str:
    return "/".join(["/v2", quote(repository), *(quote(part, safe=":") for part in rest)])


def _document(answer: Any) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads(answer.data)
    except ValueError as error:
        message = f"what answers is no registry: {answer.data[:100]!r} is not JSON"
        raise RegistryError(message) from error
    return document


def _next_page(answer: Any, path: str) -> str | None:
    """Return the path in ``Link: </v2/_catalog?last=…>; rel="next"``; only the path, never another host."""
    link = answer.headers.get("Link", "")
    if 'rel="next"' not in link:
        return None
    _, _, rest = link.partition("<")
    target = urljoin(path, rest.partition(">")[0])
    return target if target.startswith("/v2/") else None
