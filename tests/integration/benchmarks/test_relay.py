"""The relay that counts what benchmarks send."""

from __future__ import annotations

import socket

import psutil

from benchmarks.relay import relay
from tests.support.docker_registry import free_address
from tests.support.process_cloud import wait_until


def ask(address: tuple[str, int], question: bytes) -> bytes:
    """Send all, say that this was all, and return all of the answer."""
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(question)
        client.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: client.recv(100), b""))


def test_what_is_sent_is_counted_and_no_socket_is_left() -> None:
    """What comes back is not counted."""
    with socket.create_server(("127.0.0.1", 0)) as server, relay(server.getsockname()) as counter:
        before = psutil.Process().num_fds()
        for _ in range(3):
            with socket.create_connection(counter.listener.getsockname(), timeout=10) as client:
                client.sendall(b"question")
                client.shutdown(socket.SHUT_WR)
                other, _ = server.accept()
                with other:
                    assert other.recv(100) == b"question"
                    other.sendall(b"a longer answer")
                assert client.recv(100) == b"a longer answer"
        assert counter.sent_bytes == 3 * len(b"question")
        wait_until(lambda: psutil.Process().num_fds() <= before, "all sockets are closed")


def test_a_server_that_is_away_does_not_end_the_relay() -> None:
    """The client sees its connection closed, and the next one finds the server again."""
    host, _, port = free_address().partition(":")
    with relay((host, int(port))) as counter:
        address = counter.listener.getsockname()
        assert ask_nobody(address) == b""
        with (
            socket.create_server((host, int(port))) as server,
            socket.create_connection(address, timeout=10) as client,
        ):
            client.sendall(b"x")
            server.settimeout(10)
            other, _ = server.accept()
            with other:
                assert other.recv(1) == b"x"


def ask_nobody(address: tuple[str, int]) -> bytes:
    """Return what comes back when there is no server; nothing, however the connection ends."""
    try:
        return ask(address, b"x")
    except OSError:
        return b""
