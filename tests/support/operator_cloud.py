"""A local AWS that operators reach as they reach AWS: by boto3's own environment variables."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from sagemaker_byoc.hooks import connection
from tests.support.process_cloud import ProcessCloud, process_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.local_cloud import LocalCloud

__all__ = ["CLASSIFIER", "operator_cloud", "operators_reach"]

CLASSIFIER = """\
#!/usr/bin/env python3
import itertools, json, os, pathlib, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

threshold = float((pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model/threshold").read_text())
if threshold < 0:
    sys.exit("a threshold below zero is no model")

asked = itertools.count(1)

class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer(200, b"")

    def do_POST(self):
        if os.environ.get("DIES"):
            os._exit(1)
        time.sleep(float(os.environ.get("SECONDS", "0")))
        if os.environ.get("BROKEN") or next(asked) > int(os.environ.get("TIRES_AFTER", "1000000")):
            self.answer(500, b"out of order")
            return
        if os.environ.get("GARBLED"):
            self.answer(200, b"<html>")
            return
        header, *lines = self.rfile.read(int(self.headers["Content-Length"])).decode().splitlines()
        if header != "length":
            self.answer(400, b"the column length is missing")
            return
        labels = ["short" if float(line) < threshold else "long" for line in lines]
        self.answer(200, json.dumps({"predictions": [{"label": label} for label in labels]}).encode())

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
address = (os.environ["SAGEMAKER_BIND_TO_ADDRESS"], int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
ThreadingHTTPServer(address, Handler).serve_forever()
"""
"""A container that calls everything from the model's threshold on long; a threshold below zero keeps it from
serving, and the variable BROKEN from answering. With GARBLED it answers no JSON, with DIES it ends when it is first
asked, TIRES_AFTER so many requests it answers no more, and each takes SECONDS."""


@contextmanager
def operators_reach(cloud: LocalCloud) -> Iterator[None]:
    """Point every client that operators make at this local AWS; they need ``aws_conn_id=None``."""
    environment = {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # What does not go to the local AWS dies here instead of reaching AWS.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }
    # Clients of an earlier local AWS must not be found again.
    with mock.patch.dict(os.environ, environment), mock.patch.dict(connection._clients, clear=True):
        yield


@contextmanager
def operator_cloud(directory: Path) -> Iterator[ProcessCloud]:
    """Run a local AWS with the process engine, which operators reach until the block ends."""
    with process_cloud(directory, startup_timeout_seconds=3.0) as cloud, operators_reach(cloud):
        yield cloud
