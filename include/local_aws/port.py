"""Loopback ports for containers.

Owns which port was given to whom. Must not know containers.
"""

from __future__ import annotations

import socket
import threading

__all__ = ["Ports"]


class Ports:
    """Free loopback ports; those of a network are shared by its containers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._given: list[int] = []
        self._networks: dict[str, tuple[int, int]] = {}

    def free(self) -> int:
        """Return a port that nothing listens on and that was not given away lately."""
        with self._lock:
            return self._free()

    def join(self, network: str) -> int:
        """Return the meeting port of a network, a new one for its first container."""
        with self._lock:
            port, members = self._networks.get(network) or (self._free(), 0)
            self._networks[network] = (port, members + 1)
            return port

    def leave(self, network: str | None) -> None:
        """Forget the network with its last container."""
        with self._lock:
            port, members = self._networks.get(network or "", (0, 0))
            if members > 1:
                self._networks[network or ""] = (port, members - 1)
            else:
                self._networks.pop(network or "", None)

    def _free(self) -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            if port not in self._given:
                self._given = [*self._given[-199:], port]
                return port
