"""Serves a WSGI application over HTTP, each request in a thread of its own.

Owns the socket. Must not know what is served.
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import MotoRequestHandler
from werkzeug.serving import make_server

from local_aws.reach import LOOPBACK, check_listen_address

if TYPE_CHECKING:
    from local_aws.gateway import WsgiApp

__all__ = ["HttpServer"]


class _QuietHandler(MotoRequestHandler):
    """Keep a line per request out of the terminal; failures are logged where they happen."""

    def log_request(self, *_: Any) -> None:
        """Write nothing."""


class HttpServer:
    """An HTTP server that no other machine can reach. The port is bound at once, requests are answered after start.

    :param port: TCP port; 0 takes a free one
    :param host: a loopback address; inside a container any
    :raises ValueError: when other machines may reach ``host``
    :raises OSError: when the port is taken or not allowed
    """

    def __init__(self, *, port: int = 0, host: str = LOOPBACK) -> None:
        check_listen_address(host)
        self._application: WsgiApp | None = None
        # Werkzeug ends the whole process when a port is taken; given an open socket it leaves that to us.
        with contextlib.closing(_bound_socket(host, port)) as bound:
            self._server = make_server(
                host, port, self._respond, threaded=True, request_handler=_QuietHandler, fd=bound.fileno()
            )
        self._thread = threading.Thread(target=self._serve, name="local-aws-http", daemon=True)
        self.port = self._server.port
        self.endpoint_url = f"http://{_own_host(host)}:{self.port}"

    def start(self, application: WsgiApp) -> None:
        """Begin to answer with this application."""
        self._application = application
        self._thread.start()

    def stop(self) -> None:
        """Answer nothing more and free the port. Harmless when it never started."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def _serve(self) -> None:
        # The interval is how long a stop may take; requests do not wait for it.
        self._server.serve_forever(poll_interval=0.05)

    def _respond(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self._application is None:
            message = "the server answers requests only after start"
            raise RuntimeError(message)
        return self._application(environ, start_response)


def _own_host(listen: str) -> str:
    """Return the host by which this process reaches what listens there, as a URL has it."""
    if ipaddress.ip_address(listen).is_unspecified:
        return LOOPBACK
    return f"[{listen}]" if ":" in listen else listen


def _bound_socket(host: str, port: int) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(128)
    except OSError as error:
        bound.close()
        message = f"port {port} of {host} cannot be opened ({error.strerror}); stop what uses it or give another port"
        raise OSError(error.errno, message) from error
    return bound
