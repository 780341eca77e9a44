"""Free ports of the loopback interface."""

from __future__ import annotations

import socket

from local_stack.errors import StackError

__all__ = ["LOOPBACK", "free_port"]

LOOPBACK = "127.0.0.1"


def free_port(wanted: int = 0) -> int:
    """Return a port that nothing listens on.

    :param wanted: this one and no other; 0 takes any
    :raises StackError: the wanted port is taken
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, wanted))
        except OSError as error:
            raise StackError(
                f"port {wanted} cannot be used ({error.strerror}): choose another, or 0 for any"
            ) from error
        number: int = probe.getsockname()[1]
    return number
