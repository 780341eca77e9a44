"""Stands between a client and a server and counts what the client sends.

Owns the counting; understands nothing of what goes through, so nothing is left out of the count.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
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
            server = socket.socket(socket.AF_UNIX if isinstance(self.server, str) else socket.AF_INET)
            server.connect(self.server)
            for source, target, counts in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._pass_on, args=(source, target, counts), daemon=True).start()

    def _pass_on(self, source: socket.socket, target: socket.socket, counts: bool) -> None:  # noqa: FBT001
        try:
            while chunk := source.recv(CHUNK_BYTES):
                if counts:
                    with self._counting:
                        self.sent_bytes += len(chunk)
                target.sendall(chunk)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            source.close()
            target.close()


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
