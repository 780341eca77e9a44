"""Runs ``serve`` as a process and talks to it over loopback HTTP."""

import http.client
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from tests.unit.container.opt_ml import OptMl, free_port

START_SECONDS = 60


@contextmanager
def serving(opt_ml: OptMl, **environment: str) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run ``serve`` on a loopback port, ready for traffic."""
    port = free_port()
    settings = {"SAGEMAKER_BIND_TO_ADDRESS": "127.0.0.1", "SAGEMAKER_BIND_TO_PORT": str(port)}
    process = opt_ml.start("serve", **settings, **environment)
    try:
        wait_until_ready(process, port)
        yield process, port
    finally:
        process.terminate()
        process.communicate(timeout=30)


def wait_until_ready(process: subprocess.Popen[str], port: int) -> None:
    """Return when ``/ping`` says 200; a connection is tried again until there is a server or none will come."""
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if request(port, "GET", "/ping") == (200, b""):
                return
        except ConnectionError:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=0.05)
    pytest.fail(f"serve is not ready; exit code {process.poll()}")


def wait_until_closed(port: int) -> None:
    """Return when the server takes no more connections."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=10).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:
            continue  # taken by the listener just as it closed
    pytest.fail("serve still takes connections")


def request(
    port: int, method: str, path: str, body: bytes | None = None, content_type: str = "text/csv"
) -> tuple[int, bytes]:
    """Send one request and return status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body, {"Content-Type": content_type})
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()
