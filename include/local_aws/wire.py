"""Turns HTTP bodies into requests and answers into HTTP bodies.

Owns the two protocols that our services speak, AWS JSON 1.1 and REST-JSON. Must not know which
services exist nor how HTTP is served.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "HttpAnswer",
    "json_answer",
    "json_error",
    "json_value",
    "read_json",
    "rest_answer",
    "rest_document",
    "rest_error",
]

_JSON_1_1 = "application/x-amz-json-1.1"


@dataclass
class HttpAnswer:
    """What goes back over HTTP; ``body`` is whole or, for a stream, an iterable of chunks."""

    status: int
    body: bytes | Iterable[bytes]
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers.setdefault("x-amzn-RequestId", str(uuid.uuid4()))


def read_json(body: bytes) -> Any:
    """Return the value of a JSON text; nothing at all stands for an empty request.

    :raises AwsError: ``SerializationException`` when the text is not JSON
    """
    if not body.strip():
        return {}
    try:
        return json.loads(body, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        message = f"The request body is not JSON: {type(error).__name__}"
        raise AwsError("SerializationException", message) from error


def json_answer(shape: Any, response: Mapping[str, Any]) -> HttpAnswer:
    """Encode the answer of an AWS JSON 1.1 operation.

    :param shape: output shape of the operation; None when it answers nothing
    """
    if shape is None:
        return HttpAnswer(200, b"", {"Content-Type": _JSON_1_1})
    return HttpAnswer(200, json.dumps(json_value(shape, response)).encode(), {"Content-Type": _JSON_1_1})


def json_error(error: AwsError) -> HttpAnswer:
    """Encode an error of an AWS JSON 1.1 service."""
    # Modelled errors of these services carry `Message`, the others `message`; clients read either.
    body = {"__type": error.code, "message": error.message, "Message": error.message, **error.fields}
    headers = {"Content-Type": _JSON_1_1, "x-amzn-ErrorType": error.code}
    return HttpAnswer(error.status, json.dumps(body).encode(), headers)


def json_value(shape: Any, value: Any) -> Any:
    """Return a value as JSON holds it: times as epoch seconds, blobs in base64, only members that the model knows."""
    if shape.type_name == "structure":
        return {
            name: json_value(member, value[name])
            for name, member in shape.members.items()
            if value.get(name) is not None
        }
    if shape.type_name == "list":
        return [json_value(shape.member, item) for item in value]
    if shape.type_name == "map":
        return {key: json_value(shape.value, item) for key, item in value.items()}
    if isinstance(value, dt.datetime):
        return round(value.timestamp(), 3)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value


def rest_document(shape: Any, path: Mapping[str, str], headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """Gather the members of a REST-JSON request from its path, headers and body.

    :param path: variables of the request path
    :param headers: HTTP headers, found without regard to case
    """
    lower = {name.lower(): value for name, value in headers.items()}
    document: dict[str, Any] = {}
    for name, member in shape.members.items():
        place = member.serialization
        key = place.get("name", name)
        if place.get("location") == "uri":
            document[name] = path.get(key)
        elif place.get("location") == "header":
            document[name] = _header_value(member, lower.get(key.lower()))
    payload = shape.serialization.get("payload")
    if payload:
        # The reader of the model decodes blobs, so hand it what JSON would have held.
        document[payload] = base64.b64encode(body).decode()
    return document


def rest_answer(shape: Any, response: Mapping[str, Any]) -> HttpAnswer:
    """Encode the answer of a REST-JSON operation; its payload member may be bytes or an iterable of chunks."""
    headers = {}
    for name, member in shape.members.items():
        if member.serialization.get("location") == "header" and response.get(name) is not None:
            headers[member.serialization["name"]] = str(response[name])
    payload = shape.serialization.get("payload")
    if payload:
        return HttpAnswer(200, response.get(payload, b""), headers)
    body = {
        name: value
        for name, value in json_value(shape, response).items()
        if not shape.members[name].serialization.get("location")
    }
    headers.setdefault("Content-Type", "application/json")
    return HttpAnswer(200, json.dumps(body).encode(), headers)


def rest_error(error: AwsError) -> HttpAnswer:
    """Encode an error of a REST-JSON service."""
    body = {"Message": error.message, **error.fields}
    headers = {"Content-Type": "application/json", "x-amzn-ErrorType": error.code}
    return HttpAnswer(error.status, json.dumps(body).encode(), headers)


def _header_value(member: Any, text: str | None) -> Any:
    if text is None or member.type_name == "string":
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def _refuse_constant(name: str) -> Any:
    message = f"{name} is not a JSON number"
    raise ValueError(message)
