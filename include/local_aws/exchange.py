"""Sends one request to a serving container's ``/invocations`` and reads its answer.

Owns the connection, the limits on the answer's time and size. Must not know what a request is about, nor what an answer
means.
"""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from typing import TYPE_CHECKING

import urllib3

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["TooLargeError", "exchange"]


class TooLargeError(Exception):
    """The answer has more bytes than are allowed."""


def exchange(
    address: tuple[str, int],
    body: bytes,
    headers: Mapping[str, str],
    *,
    timeout_seconds: float,
    most_bytes: int | None = None,
) -> tuple[int, bytes, Mapping[str, str]]:
    """Return status, body and headers of the answer.

    Each request has a connection of its own. On one that was used before, a server that closes it for being idle could
    not be told from one that broke down over the request.

    :param address: host and port of the container
    :param timeout_seconds: from the connection to the last byte of the answer
    :param most_bytes: of the answer's body; None for any number
    :raises TimeoutError: when the answer was not complete in time
    :raises TooLargeError: when it has more bytes
    :raises OSError, http.client.HTTPException: when there was no whole answer
    """
    connection = http.client.HTTPConnection(*address, timeout=timeout_seconds)
    with contextlib.closing(connection), _time_limit(connection, timeout_seconds):
        with contextlib.suppress(BrokenPipeError):
            # A container may refuse a body that it has not read to its end.
            connection.request("POST", "/invocations", body, dict(headers))
        with connection.getresponse() as answer:
            return answer.status, _read(answer, most_bytes), urllib3.HTTPHeaderDict(answer.getheaders())


def _read(answer: http.client.HTTPResponse, most_bytes: int | None) -> bytes:
    if most_bytes is None:
        return answer.read()
    body = answer.read(most_bytes + 1)
    if len(body) > most_bytes:
        raise TooLargeError
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
