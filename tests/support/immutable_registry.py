"""Stands before a registry and refuses to move a tag, in the words of ECR.

Debian's ``docker-registry`` has no tags that stay; everything else of the registry is let through as it is.
"""

from __future__ import annotations

import http.client
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ImmutableRegistry", "immutable_registry"]

_TAG = re.compile(r"/v2/(?P<repository>.+)/manifests/(?P<tag>[^:]+)")
_PASSED_ON = ("Accept", "Content-Type", "Content-Range", "Authorization", "Host")
_HOP_BY_HOP = ("transfer-encoding", "connection", "content-length")


class ImmutableRegistry(ThreadingHTTPServer):
    """A registry whose tags stay.

    :param registry: ``host:port`` of the one behind it
    :param refused: the tags that were refused
    """

    daemon_threads = True

    def __init__(self, registry: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.registry = registry
        self.refused: list[str] = []
        self.one_at_a_time = threading.Lock()

    @property
    def address(self) -> str:
        """Where it listens, as ``host:port``."""
        return f"127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ImmutableRegistry

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _pass_on(self) -> None:
        body = self._body()
        found = _TAG.fullmatch(self.path)
        if self.command != "PUT" or not found:
            self._answer(*self._ask(self.command, body))
            return
        with self.server.one_at_a_time:
            if self._ask("HEAD", b"")[0] == 200:
                self._refuse(found["repository"], found["tag"])
            else:
                self._answer(*self._ask("PUT", body))

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _pass_on  # noqa: N815 - http.server's names

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chunks = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def _ask(self, method: str, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        connection = http.client.HTTPConnection(self.server.registry, timeout=30)
        try:
            # With the caller's Host the registry's links lead back here.
            headers = {name: self.headers[name] for name in _PASSED_ON if name in self.headers}
            connection.request(method, self.path, body or None, headers)
            answer = connection.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _refuse(self, repository: str, tag: str) -> None:
        self.server.refused.append(tag)
        message = (
            f"The image tag '{tag}' already exists in the '{repository}' repository and cannot be overwritten because "
            "the repository is immutable."
        )
        body = json.dumps({"errors": [{"code": "TAG_INVALID", "message": message}]}).encode()
        self._answer(400, [("Content-Type", "application/json")], body)

    def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response(status)
        length = str(len(body))
        for name, value in headers:
            if name.lower() == "content-length":
                length = value if self.command == "HEAD" else length
            elif name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


@contextmanager
def immutable_registry(registry: str) -> Iterator[ImmutableRegistry]:
    """Stand before a registry until the block ends."""
    with ImmutableRegistry(registry) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
