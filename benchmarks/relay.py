"""Stands between a client and a server and counts what the client sends.

Owns the counting; understands nothing of what goes through, so nothing is left out of the count.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["Relay", "relay"]

CHUNK_BYTES = 1 << 16


class Relay:
    """One listening socket.

    :param listener: bound and listening
    :param server: address of the server, a path or ``(host, port)``
    """

    def __init__(self, listener: socket.socket, server: str | tuple[str, int]) -> None:
        self.listener = listener
        self.server = server
        self.sent_bytes = 0
        self._counting = threading.Lock()

    def serve(self) -> None:
        """Take connections until the listening socket is closed."""
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                server = self._connect()
            except OSError:
                client.close()  # as the server itself would do
                continue
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _connect(self) -> socket.socket:
        server = socket.socket(socket.AF_UNIX if isinstance(self.server, str) else socket.AF_INET)
        try:
            server.connect(self.server)
        except OSError:
            server.close()
            raise
        return server

    def _carry(self, client: socket.socket, server: socket.socket) -> None:
        """Pass on in both directions until both have ended."""
        with client, server:
            back = threading.Thread(target=_pass_on, args=(server, client, lambda _: None), daemon=True)
            back.start()
            _pass_on(client, server, self._count)
            back.join()

    def _count(self, sent_bytes: int) -> None:
        with self._counting:
            self.sent_bytes += sent_bytes


def _pass_on(source: socket.socket, target: socket.socket, count: Callable[[int], None]) -> None:
    try:
        while chunk := source.recv(CHUNK_BYTES):
            count(len(chunk))
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        # The other direction waits on one of them.
        for each in (source, target):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def relay(server: str | tuple[str, int], path: Path | None = None) -> Iterator[Relay]:
    """Count until the block ends.

    :param path: of the socket to listen on; a free port on loopback without one
    """
    with socket.socket(socket.AF_UNIX if path else socket.AF_INET) as listener:
        listener.bind(str(path) if path else ("127.0.0.1", 0))
        listener.listen()
        counter = Relay(listener, server)
        threading.Thread(target=counter.serve, daemon=True).start()
        yield counter
        listener.shutdown(socket.SHUT_RDWR)
