"""Stands before moto's ECR, so that it shows what the registry holds and says where the registry is.

Owns which of ECR's operations need a look at the registry first. Everything is moto's answer, but for the registry's
address in GetAuthorizationToken. Must not know what a manifest is.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from werkzeug.wrappers import Request, Response

from local_aws.errors import AwsError
from local_aws.registry.client import RegistryError
from local_aws.registry.mirror import MARK, Mirror
from local_aws.wire import json_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local_aws.gateway import WsgiApp

__all__ = ["EcrFront"]

_PREFIX = "AmazonEC2ContainerRegistry_V20150921."
_ABOUT_REPOSITORIES = frozenset({"CreateRepository", "DescribeRepositories", "DeleteRepository", "PutImage"})
_ABOUT_IMAGES = frozenset(
    {"BatchDeleteImage", "BatchGetImage", "DescribeImages", "DescribeImageScanFindings", "ListImages"}
)


@dataclass(frozen=True)
class EcrFront:
    """A WSGI application in front of another, which is moto.

    :param application: answers
    :param mirror: looks at the registry
    :param address: ``host:port`` of the registry, as a Docker engine reaches it
    """

    application: WsgiApp
    mirror: Mirror
    address: str

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        operation = _operation(environ)
        if operation == "GetAuthorizationToken":
            return self._token(environ)(environ, start_response)
        if operation not in _ABOUT_REPOSITORIES | _ABOUT_IMAGES:
            return self.application(environ, start_response)
        try:
            return self._answer(operation, environ)(environ, start_response)
        except RegistryError as error:
            refusal = json_error(AwsError("ServerException", f"ECR has no data plane: {error}", 500))
            return Response(refusal.body, status=refusal.status, headers=refusal.headers)(environ, start_response)

    def _token(self, environ: dict[str, Any]) -> Response:
        """Say where the registry is: it has no name of AWS's, and no certificate."""
        response = Response.from_app(self.application, environ)
        document = json.loads(response.get_data())
        for data in document.get("authorizationData", ()):
            data["proxyEndpoint"] = f"http://{self.address}"
        response.set_data(json.dumps(document))
        return response

    def _answer(self, operation: str, environ: dict[str, Any]) -> Response:
        document = _document(environ)
        repository = document.get("repositoryName")
        self.mirror.restore()
        before: set[str] = set()
        if isinstance(repository, str) and repository:
            if operation in _ABOUT_IMAGES:
                self.mirror.look(repository, _references(document))
            if operation in {"DeleteRepository", "BatchDeleteImage"}:
                self.mirror.look(repository)
                before = self.mirror.digests(repository)
        response = Response.from_app(self.application, environ)
        if before and response.status_code == 200:
            self.mirror.forget(str(repository), before)
        return response


def _operation(environ: dict[str, Any]) -> str | None:
    """Return the name of an operation of ECR; None for other services and for the mirror's own calls."""
    target = str(environ.get("HTTP_X_AMZ_TARGET", ""))
    if not target.startswith(_PREFIX) or MARK in environ.get("HTTP_USER_AGENT", ""):
        return None
    return target.removeprefix(_PREFIX)


def _document(environ: dict[str, Any]) -> dict[str, Any]:
    """Read the request and leave it as it was; what is no JSON object is moto's to refuse."""
    body = Request(environ).get_data()
    environ["wsgi.input"] = io.BytesIO(body)
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _references(document: dict[str, Any]) -> list[str] | None:
    """Return the tags and digests that a request names; None when it means all images."""
    named = document.get("imageIds") or [document.get("imageId") or {}]
    return [image[key] for image in named for key in ("imageTag", "imageDigest") if image.get(key)] or None
