"""The one front door: decides which service answers a request, and turns its answer into HTTP.

Owns routing, decoding, the model check and the last line of error handling. Must not know what any
operation does; services are registered with it.
"""

from __future__ import annotations

import functools
import json
import logging
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import botocore.loaders
import botocore.model
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wrappers import Request, Response

from local_aws.errors import AwsError
from local_aws.origin import refuse_strangers
from local_aws.shapes import read_document
from local_aws.wire import HttpAnswer, json_answer, json_error, read_json, rest_answer, rest_document, rest_error

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeAlias

    from local_aws.service import Operation, Service

    WsgiApp: TypeAlias = Callable[[dict[str, Any], Any], Iterable[bytes]]

__all__ = ["HEALTH_PATH", "Gateway"]

HEALTH_PATH = "/_local/health"
_MAX_BODY_BYTES = 16 * 1024 * 1024
_SCOPE = re.compile(r"Credential=[^/]*/[^/]*/[^/]*/(?P<service>[^/]*)/aws4_request")
_CBOR_PATH = re.compile(r"/service/(?P<prefix>[^/]+)/operation/[^/]+")
_OUR_SIGNING_NAMES = frozenset({"sagemaker"})

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Served:
    """A registered service with its model."""

    service: Service
    model: Any

    @property
    def target_prefix(self) -> str | None:
        """What stands before the dot in ``X-Amz-Target``; None for a REST service."""
        prefix = self.model.metadata.get("targetPrefix")
        return str(prefix) if prefix else None

    def operation(self, name: str) -> Operation:
        """Return the operation.

        :raises AwsError: ``UnknownOperationException`` when AWS, or this local AWS, does not have it
        """
        if name in self.service.operations:
            return self.service.operations[name]
        if name in self.model.operation_names:
            message = f"The local AWS does not have the operation {name} of {self.service.service_name} yet"
        else:
            message = f"There is no operation {name!r} in {self.service.service_name}"
        raise AwsError("UnknownOperationException", message)


@dataclass
class Gateway:
    """A WSGI application in front of all services.

    :param fallback: WSGI application that answers everything that no registered service claims
    :param facts: what the health route tells besides the services, for example the engine's name
    :param host_names: to which it answers besides this machine's own, in lower case
    """

    fallback: WsgiApp
    facts: dict[str, str] = field(default_factory=dict)
    host_names: frozenset[str] = frozenset()
    _served: list[_Served] = field(default_factory=list, init=False)

    def register(self, service: Service) -> None:
        """Send the requests of this service to it from now on."""
        self._served.append(_Served(service, _service_model(service.service_name)))

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        request = Request(environ)
        answer = self._answer(request)
        if answer is None:
            return self.fallback(environ, start_response)
        response = Response(answer.body, status=answer.status, headers=answer.headers, direct_passthrough=True)
        return response(environ, start_response)

    def _answer(self, request: Request) -> HttpAnswer | None:
        stranger = refuse_strangers(request, self.host_names)
        if stranger is not None:
            return stranger
        if request.path == HEALTH_PATH:
            return self._health()
        served = self._json_service(request)
        if served is not None:
            return _answer_json(served, request)
        routed = self._rest_route(request)
        if routed is not None:
            return _answer_rest(*routed, request)
        return self._refusal(request)

    def _health(self) -> HttpAnswer:
        services = sorted(served.service.service_name for served in self._served)
        body = json.dumps({"status": "ready", **self.facts, "services": services})
        return HttpAnswer(200, body.encode(), {"Content-Type": "application/json"})

    def _json_service(self, request: Request) -> _Served | None:
        prefix = request.headers.get("X-Amz-Target", "").rpartition(".")[0]
        return next((served for served in self._served if prefix and served.target_prefix == prefix), None)

    def _rest_route(self, request: Request) -> tuple[_Served, str, dict[str, str]] | None:
        if _signing_name(request) not in {None, *_OUR_SIGNING_NAMES}:
            return None
        for served in self._served:
            if served.target_prefix is None:
                for name in served.model.operation_names:
                    variables = _match_path(served.model.operation_model(name).http, request)
                    if variables is not None:
                        return served, name, variables
        return None

    def _refusal(self, request: Request) -> HttpAnswer | None:
        """Refuse what would reach moto's version of a service that is ours."""
        ours = {served.target_prefix for served in self._served}
        match = _CBOR_PATH.fullmatch(request.path)
        if match and match["prefix"] in ours:
            message = "The local AWS speaks only AWS JSON 1.1 to this service, not smithy-rpc-v2-cbor"
            return json_error(AwsError("UnsupportedProtocol", message, 415))
        if _signing_name(request) in _OUR_SIGNING_NAMES or request.headers.get("X-Amz-Target", "").startswith(
            "SageMaker"
        ):
            message = f"The local AWS has no operation behind {request.method} {request.path}"
            return json_error(AwsError("UnknownOperationException", message, 404))
        return None


def _answer_json(served: _Served, request: Request) -> HttpAnswer:
    def answer() -> HttpAnswer:
        name = request.headers["X-Amz-Target"].rpartition(".")[2]
        operation = served.operation(name)
        model = served.model.operation_model(name)
        document = read_document(model.input_shape, read_json(_body(request)))
        return json_answer(model.output_shape, operation(document))

    return _guarded(answer, json_error, request)


def _answer_rest(served: _Served, name: str, variables: dict[str, str], request: Request) -> HttpAnswer:
    def answer() -> HttpAnswer:
        operation = served.operation(name)
        model = served.model.operation_model(name)
        raw = rest_document(model.input_shape, variables, dict(request.headers), _body(request))
        # SageMaker Runtime is the one REST service here; its model calls this error ValidationError.
        document = read_document(model.input_shape, raw, error_code="ValidationError")
        return rest_answer(model.output_shape, operation(document))

    return _guarded(answer, rest_error, request)


def _guarded(
    answer: Callable[[], HttpAnswer], encode_error: Callable[[AwsError], HttpAnswer], request: Request
) -> HttpAnswer:
    try:
        return answer()
    except AwsError as error:
        return encode_error(error)
    except Exception:
        what = request.headers.get("X-Amz-Target", request.path)
        _logger.exception("The local AWS failed while it answered %s", what)
        return encode_error(AwsError("InternalFailure", f"The local AWS failed at {what}; its log says why", 500))


@functools.cache
def _service_model(service_name: str) -> Any:
    """Return botocore's model; SageMaker's takes a tenth of a second to read.

    Without a session, which would read the user's AWS profile and fail when there is no such profile.
    """
    description = botocore.loaders.create_loader().load_service_model(service_name, "service-2")
    return botocore.model.ServiceModel(description, service_name)


def _body(request: Request) -> bytes:
    request.max_content_length = _MAX_BODY_BYTES
    try:
        return request.get_data()
    except RequestEntityTooLarge as error:
        message = f"The request has more than {_MAX_BODY_BYTES} bytes, which no operation here allows"
        raise AwsError("RequestEntityTooLargeException", message, 413) from error


def _signing_name(request: Request) -> str | None:
    match = _SCOPE.search(request.headers.get("Authorization", ""))
    return match["service"] if match else None


def _match_path(http: dict[str, str], request: Request) -> dict[str, str] | None:
    """Return the variables in the path when the request is for this REST operation."""
    template = re.escape(http["requestUri"]).replace(r"\{", "{").replace(r"\}", "}")
    match = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", template), request.path)
    if match is None or request.method != http["method"]:
        return None
    return {name: unquote(value) for name, value in match.groupdict().items()}
