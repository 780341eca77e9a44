"""Ports of this machine."""

from __future__ import annotations

import socket

import pytest

from local_stack.errors import StackError
from local_stack.port import LOOPBACK, free_port


def test_a_taken_port_is_named_with_the_remedy() -> None:
    """One line says which port it is and what to do."""
    with socket.socket() as holder:
        holder.bind((LOOPBACK, 0))
        holder.listen()
        taken = holder.getsockname()[1]
        with pytest.raises(StackError, match=rf"^port {taken} cannot be used .*choose another"):
            free_port(taken)


def test_any_free_port_can_be_listened_on() -> None:
    """Zero asks for whatever the system has left."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, free_port()))
        listener.listen()
