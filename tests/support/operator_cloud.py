"""A local AWS that operators reach as they reach AWS: by boto3's own environment variables; models to deploy there."""

from __future__ import annotations

import itertools
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

from sagemaker_byoc.hooks import connection
from tests.support.process_cloud import ProcessCloud, archive, process_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.local_cloud import LocalCloud

__all__ = ["CLASSIFIER", "ClassifierAccount", "operator_cloud", "operators_reach"]

CLASSIFIER = """\
#!/usr/bin/env python3
import json, os, pathlib, signal, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

threshold = float((pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model/threshold").read_text())
if threshold < 0:
    sys.exit("a threshold below zero is no model")

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
serving."""


@dataclass
class ClassifierAccount:
    """A local AWS with the classifier's image."""

    cloud: ProcessCloud
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.sagemaker = self.cloud.client("sagemaker")
        self.cloud.client("s3").create_bucket(Bucket="models")
        self.role_arn = self.cloud.role("serving", "sagemaker.amazonaws.com")
        self.image = self.cloud.push("classifier", {"serve": CLASSIFIER})

    def name(self) -> str:
        """Return an endpoint's name that was not used before."""
        return f"lengths-{next(self.numbers)}"

    def model(self, threshold: float) -> str:
        """Make a model that calls everything from the threshold on long."""
        name = f"model-{next(self.numbers)}"
        content = archive({"threshold": str(threshold).encode()})
        self.cloud.client("s3").put_object(Bucket="models", Key=f"{name}/model.tar.gz", Body=content)
        container = {"Image": self.image, "ModelDataUrl": f"s3://models/{name}/model.tar.gz"}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role_arn, PrimaryContainer=container)
        return name


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
