"""Stands before moto's CloudWatch Logs, whose FilterLogEvents knows neither a prefix nor an order.

Owns that operation: which streams it reads, the order of events, pages. The events themselves are moto's. Must not know
who writes or reads a log.
"""

from __future__ import annotations

import functools
import io
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.loaders
import botocore.model
from werkzeug.wrappers import Request, Response

from local_aws.errors import AwsError
from local_aws.shapes import read_document
from local_aws.wire import json_error, read_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from local_aws.gateway import WsgiApp

__all__ = ["LogFilter"]

_PREFIX = "Logs_20140328."
_MOST_EVENTS = 10_000
_MOST_PAGE_BYTES = 1_048_576
_DESCENDING_SINCE_MS = 1_704_067_200_000
_ID_DIGITS = 56
_REFUSAL = "InvalidParameterException"

Document = dict[str, Any]


class _RefusedError(Exception):
    """Moto refused a call that was needed for the answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


@dataclass(frozen=True)
class LogFilter:
    """A WSGI application in front of another, which is moto.

    As AWS's model of FilterLogEvents says: streams are interleaved by time, ``startFromHead`` false turns the order
    round, a page has 10,000 events or 1 MB at most, a token keeps its direction, ``searchedLogStreams`` is empty.
    """

    application: WsgiApp

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer one request (WSGI)."""
        if environ.get("HTTP_X_AMZ_TARGET") != f"{_PREFIX}FilterLogEvents":
            return self.application(environ, start_response)
        try:
            request = read_document(_input_shape(), read_json(Request(environ).get_data()), error_code=_REFUSAL)
            answer = self._filter(request, environ)
        except _RefusedError as refusal:
            return refusal.response(environ, start_response)
        except AwsError as error:
            refused = json_error(error)
            return Response(refused.body, refused.status, refused.headers)(environ, start_response)
        response = Response(json.dumps(answer), content_type="application/x-amz-json-1.1")
        return response(environ, start_response)

    def _filter(self, request: Document, environ: dict[str, Any]) -> Document:
        _check(request)
        direction, after = _position(request)
        events = self._events(request, environ)
        events.sort(key=lambda event: (event["timestamp"], event["eventId"]), reverse=direction == "backward")
        if after:
            events = _behind(events, after)
        page = list(_page(events, request.get("limit") or _MOST_EVENTS))
        answer: Document = {"events": page, "searchedLogStreams": []}
        if len(page) < len(events):
            answer["nextToken"] = f"{direction}/{page[-1]['eventId']}"
        return answer

    def _events(self, request: Document, environ: dict[str, Any]) -> list[Document]:
        """Return all events that the request means, in moto's order."""
        asked: Document = {key: request[key] for key in ("startTime", "endTime", "filterPattern") if key in request}
        asked["logGroupName"] = _group(request)
        names = request.get("logStreamNames")
        if prefix := request.get("logStreamNamePrefix"):
            names = self._streams(asked["logGroupName"], prefix, environ)
            if not names:
                return []
        if names:
            asked["logStreamNames"] = names
        pages = self._pages("FilterLogEvents", {**asked, "limit": _MOST_EVENTS}, environ)
        # As long as AWS's, which can be compared as text.
        return [{**event, "eventId": event["eventId"].zfill(_ID_DIGITS)} for page in pages for event in page["events"]]

    def _streams(self, group: str, prefix: str, environ: dict[str, Any]) -> list[str]:
        request = {"logGroupName": group, "logStreamNamePrefix": prefix}
        pages = self._pages("DescribeLogStreams", request, environ)
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    def _pages(self, operation: str, request: Document, environ: dict[str, Any]) -> Iterator[Document]:
        while True:
            body = json.dumps(request).encode()
            call = {
                **environ,
                "HTTP_X_AMZ_TARGET": f"{_PREFIX}{operation}",
                "CONTENT_LENGTH": str(len(body)),
                "wsgi.input": io.BytesIO(body),
            }
            # what werkzeug keeps of the request that has been read
            call.pop("werkzeug.request", None)
            response = Response.from_app(self.application, call)
            if response.status_code != 200:
                raise _RefusedError(response)
            page: Document = json.loads(response.get_data())
            yield page
            if not page.get("nextToken"):
                return
            request = {**request, "nextToken": page["nextToken"]}


@functools.cache
def _input_shape() -> Any:
    description = botocore.loaders.create_loader().load_service_model("logs", "service-2")
    return botocore.model.ServiceModel(description, "logs").operation_model("FilterLogEvents").input_shape


def _check(request: Document) -> None:
    """Refuse what AWS's model of the operation says is refused; the wording is ours."""
    problem = ""
    if request.get("logStreamNames") and request.get("logStreamNamePrefix"):
        problem = "logStreamNames and logStreamNamePrefix exclude each other"
    if request.get("startFromHead") is False and request.get("startTime", 0) < _DESCENDING_SINCE_MS:
        problem = "startFromHead can be false only with a startTime on or after Jan 1, 2024 00:00:00 UTC"
    if problem:
        raise AwsError(_REFUSAL, problem)


def _group(request: Document) -> str:
    """Return the group's name, of which the last part of an ARN consists."""
    name = request.get("logGroupName") or request.get("logGroupIdentifier", "").rpartition(":log-group:")[2]
    return str(name).removesuffix(":*")


def _position(request: Document) -> tuple[str, str]:
    """Return the direction and the id of the last event that was given; a token decides about both."""
    token = request.get("nextToken")
    if not token:
        return ("backward" if request.get("startFromHead") is False else "forward"), ""
    direction, slash, after = str(token).partition("/")
    if not slash or direction not in ("forward", "backward"):
        message = "The specified nextToken is invalid."
        raise AwsError(_REFUSAL, message)
    return direction, after


def _behind(events: list[Document], after: str) -> list[Document]:
    ids = [event["eventId"] for event in events]
    return events[ids.index(after) + 1 :] if after in ids else []


def _page(events: Iterable[Document], limit: int) -> Iterator[Document]:
    """Yield the events that fit on a page, one at least."""
    size = 0
    for count, event in enumerate(events):
        size += len(event["message"].encode())
        if count and (count >= limit or size > _MOST_PAGE_BYTES):
            return
        yield event
