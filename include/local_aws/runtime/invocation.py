"""Passes one request to a container and reads its answer as SageMaker does.

Owns headers, the time limit and the words about a container that does not answer well. Must not know how the
instance was chosen.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

from local_aws.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["Invocation", "invoke"]

_TIMEOUT_SECONDS = 60.0
"""A container has 60 seconds (developer guide, "Custom Inference Code with Hosting Services")."""
_MOST_BODY_BYTES = 6_291_456
"""Largest body, of request and answer (service model)."""
_MOST_MESSAGE_CHARACTERS = 2048
"""Longest Message and OriginalMessage (service model)."""

_HEADERS = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
    "TargetVariant": "X-Amzn-SageMaker-Target-Variant",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "EnableExplanations": "X-Amzn-SageMaker-Enable-Explanations",
    "SessionId": "X-Amzn-SageMaker-Session-Id",
}
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
_NO_ANSWER = "The container primary closed the connection without an answer"
_TOO_LARGE = f"The answer of container primary has more than {_MOST_BODY_BYTES} bytes, the most that are allowed"


@dataclass(frozen=True)
class Invocation:
    """What came of one request.

    :param status: HTTP status of the container; 0 when it gave none
    :param seconds: time the container took
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float

    @property
    def is_success(self) -> bool:
        """Whether the container answered with a 2xx status."""
        return 200 <= self.status < 300

    @property
    def is_client_error(self) -> bool:
        """Whether the container blames the request."""
        return 400 <= self.status < 500

    def error(self, endpoint_name: str, region: str, account: str, log_group_arn: str) -> AwsError:
        """Return the ModelError that a client sees.

        :param log_group_arn: of the endpoint's logs
        """
        kind = "client" if self.is_client_error else "server"
        original = self.body.decode(errors="replace")
        message = (
            f'Received {kind} error ({self.status}) from primary with message "{original}". See '
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:"
            f"group=/aws/sagemaker/Endpoints/{endpoint_name} in account {account} for more information."
        )
        return AwsError(
            "ModelError",
            message[:_MOST_MESSAGE_CHARACTERS],
            424,
            OriginalStatusCode=self.status,
            OriginalMessage=original[:_MOST_MESSAGE_CHARACTERS],
            LogStreamArn=log_group_arn,
        )


class _TooLargeError(Exception):
    """The answer has more bytes than a client may get."""


def invoke(
    address: tuple[str, int], request: Mapping[str, Any], *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Invocation:
    """Send a request to ``/invocations`` once and return whatever comes of it.

    A request is never sent again: the container may have acted on it before it failed.

    :param address: host and port of the container
    :param request: InvokeEndpoint's; every header that it does not have a member for stays behind
    :param timeout_seconds: from the connection to the last byte of the answer
    """
    headers = {header: request[member] for member, header in _HEADERS.items() if request.get(member)}
    began = time.perf_counter()
    try:
        status, body, answered = _exchange(address, request["Body"], headers, timeout_seconds)
    except TimeoutError:
        status, body, answered = 0, _TIMED_OUT.encode(), {}
    except _TooLargeError:
        status, body, answered = 500, _TOO_LARGE.encode(), {}
    except (http.client.HTTPException, OSError) as error:
        # What AWS says then is not known.
        status, body, answered = 500, f"{_NO_ANSWER} ({type(error).__name__})".encode(), {}
    return Invocation(status, body, answered, time.perf_counter() - began)


def _exchange(
    address: tuple[str, int], body: bytes, headers: Mapping[str, str], timeout_seconds: float
) -> tuple[int, bytes, Mapping[str, str]]:
    """Return status, body and headers.

    Each request has a connection of its own. On one that was used before, a server that closes it for being idle could
    not be told from one that broke down over the request.
    """
    connection = http.client.HTTPConnection(*address, timeout=timeout_seconds)
    with contextlib.closing(connection), _time_limit(connection, timeout_seconds):
        with contextlib.suppress(BrokenPipeError):
            # A container may refuse a body that it has not read to its end.
            connection.request("POST", "/invocations", body, dict(headers))
        with connection.getresponse() as answer:
            return answer.status, _read(answer), urllib3.HTTPHeaderDict(answer.getheaders())


def _read(answer: http.client.HTTPResponse) -> bytes:
    body = answer.read(_MOST_BODY_BYTES + 1)
    if len(body) > _MOST_BODY_BYTES:
        raise _TooLargeError
    if answer.length:
        # ``read`` with a limit does not complain of what Content-Length promised and did not come.
        raise http.client.IncompleteRead(body, answer.length)
    return body


@contextlib.contextmanager
def _time_limit(connection: http.client.HTTPConnection, seconds: float) -> Iterator[None]:
    """Connect, and hang up when the time is over: a socket's own timeout begins anew with every byte.

    :raises TimeoutError: when the block was not done by then, even if all it saw was the end of the answer
    """
    deadline = time.monotonic() + seconds
    connection.connect()
    clock = threading.Timer(max(0.0, deadline - time.monotonic()), _hang_up, [connection.sock])
    clock.daemon = True
    clock.start()
    try:
        yield
    except (http.client.HTTPException, OSError):
        if time.monotonic() < deadline:
            raise
    finally:
        clock.cancel()
    if time.monotonic() >= deadline:
        raise TimeoutError


def _hang_up(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
