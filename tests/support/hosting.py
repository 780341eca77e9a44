"""A local AWS account with a small serving image, models and short ways to run endpoints."""

from __future__ import annotations

import itertools
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from tests.support.image_cloud import DOCKERFILE
from tests.support.process_cloud import archive, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from tests.support.image_cloud import ImageCloud

__all__ = ["BUCKET", "SERVE", "HostingAccount", "arn", "error_response", "refusal"]

BUCKET = "model-bucket"

SERVE = """\
#!/usr/bin/env python3
import json, os, pathlib, signal, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

MODE = os.environ.get("MODE", "")
base = pathlib.Path(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml"))
model = base / "model"

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536
    failures = 0

    def log_message(self, *_):
        pass

    def answer(self, status, body, kind="text/csv"):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Type", kind)
        custom = self.headers.get("X-Amzn-SageMaker-Custom-Attributes")
        if custom:
            self.send_header("X-Amzn-SageMaker-Custom-Attributes", custom)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        if self.path == "/execution-parameters":
            advice = os.environ.get("ADVICE", "")
            self.answer(200 if advice else 404, advice.encode(), "application/json")
        else:
            self.answer(500 if MODE == "unhealthy" else 200, b"")

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        word, _, rest = body.decode(errors="replace").partition(" ")
        if word == "status":
            self.answer(int(rest), b"because of you")
        elif word == "headers":
            self.answer(200, json.dumps(dict(self.headers)).encode(), "application/json")
        elif word == "environment":
            self.answer(200, json.dumps(dict(os.environ)).encode(), "application/json")
        elif word == "modes":
            found = {path.name: oct(path.stat().st_mode & 0o777) for path in [model, *model.iterdir()]}
            self.answer(200, json.dumps(found).encode(), "application/json")
        elif word == "wait":
            token = rest.strip()
            (base / f"{token}-arrived").write_text(str(os.getpid()))
            while not (base / f"{token}-released").exists():
                time.sleep(0.01)
            self.answer(200, b"waited")
        elif word == "flaky":
            Handler.failures += 1
            self.answer(500 if Handler.failures <= int(rest) else 200, b"answered in the end")
        elif word == "echo":
            self.answer(200, body, "application/octet-stream")
        elif word == "large":
            self.answer(200, b"x" * int(rest))
        elif word == "exit":
            os._exit(1)
        else:
            self.answer(200, (model / "name").read_bytes())

if MODE == "exit":
    print("this container never serves", flush=True)
    sys.exit(1)
print("serving", MODE, flush=True)
signal.signal(signal.SIGTERM, lambda *_: (print("told to end", flush=True), MODE == "stubborn" or os._exit(0)))
address = (os.environ.get("SAGEMAKER_BIND_TO_ADDRESS", ""), int(os.environ.get("SAGEMAKER_BIND_TO_PORT", "8080")))
ThreadingHTTPServer(address, Handler).serve_forever()
"""


@dataclass
class HostingAccount:
    """A bucket, a role and one image on a local AWS with a real engine."""

    cloud: ImageCloud
    _numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.sagemaker = self.cloud.client("sagemaker")
        self.runtime = self.cloud.client("sagemaker-runtime")
        self.s3 = self.cloud.client("s3")
        self.s3.create_bucket(Bucket=BUCKET)
        self.role_arn = self.cloud.role("hosting-execution", "sagemaker.amazonaws.com")
        self.image = self.cloud.push("serving", {"Dockerfile": DOCKERFILE, "serve": SERVE})

    def name(self, base: str) -> str:
        """Return a name that was not used before."""
        return f"{base}-{next(self._numbers)}"

    def data(self, files: Mapping[str, bytes]) -> str:
        """Put model data into S3 and return its URI."""
        key = f"{self.name('data')}/model.tar.gz"
        self.s3.put_object(Bucket=BUCKET, Key=key, Body=archive(files))
        return f"s3://{BUCKET}/{key}"

    def model(self, answer: str, **environment: str) -> str:
        """Make a model whose container answers with this text; return its name."""
        name = self.name("model")
        self.sagemaker.create_model(
            ModelName=name,
            ExecutionRoleArn=self.role_arn,
            PrimaryContainer={
                "Image": self.image,
                "ModelDataUrl": self.data({"name": answer.encode()}),
                "Environment": environment,
            },
        )
        return name

    def config(self, *variants: dict[str, Any], shadow: dict[str, Any] | None = None) -> str:
        """Make an endpoint configuration; each variant needs a ModelName only. Return its name."""
        name = self.name("config")
        defaults = {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
        names = ["AllTraffic"] if len(variants) == 1 else [f"Variant{number}" for number in range(1, 11)]
        self.sagemaker.create_endpoint_config(
            EndpointConfigName=name,
            ProductionVariants=[
                {"VariantName": variant_name, **defaults, **variant}
                for variant_name, variant in zip(names, variants, strict=False)
            ],
            **({"ShadowProductionVariants": [{"VariantName": "Shadow", **defaults, **shadow}]} if shadow else {}),
        )
        return name

    def simple_config(self, answer: str, **environment: str) -> str:
        """Make a configuration with one instance that answers with this text; return its name."""
        return self.config({"ModelName": self.model(answer, **environment)})

    def endpoint(self, config: str) -> str:
        """Create an endpoint, wait until it is settled, and return its name."""
        name = self.name("Endpoint")
        self.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
        self.settled(name)
        return name

    def settled(self, name: str) -> dict[str, Any]:
        """Return the endpoint once no operation is in progress."""

        def look() -> dict[str, Any] | None:
            endpoint: dict[str, Any] = self.sagemaker.describe_endpoint(EndpointName=name)
            return endpoint if endpoint["EndpointStatus"] in {"InService", "Failed", "UpdateRollbackFailed"} else None

        found: dict[str, Any] = wait_until(look, f"{name} is settled", 60.0)
        return found

    def update(self, name: str, config: str, deployment: dict[str, Any] | None = None, **request: Any) -> None:
        """Begin an update, with a DeploymentConfig or without one."""
        asked = {"DeploymentConfig": deployment} if deployment else {}
        self.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config, **asked, **request)

    def stage(self, name: str) -> str:
        """Return what the endpoint says about the first variant that is being deployed; empty when none is."""
        pending = self.sagemaker.describe_endpoint(EndpointName=name).get("PendingDeploymentSummary", {})
        variants = pending.get("ProductionVariants", [])
        stages = variants[0].get("VariantStatus", []) if variants else []
        return str(stages[0]["StatusMessage"]) if stages else ""

    @contextmanager
    def load(self, name: str, clients: int = 2) -> Iterator[list[str]]:
        """Keep asking until the block ends; what is yielded has the answers, and the errors as text."""
        answers: list[str] = []
        ended = threading.Event()

        def keep_asking() -> None:
            while not ended.is_set():
                try:
                    answers.append(self.invoke(name))
                except botocore.exceptions.ClientError as error:
                    answers.append(str(error))

        threads = [threading.Thread(target=keep_asking) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: len(answers) > 20, "the load is on")
            yield answers
        finally:
            ended.set()
            for thread in threads:
                thread.join()

    def invoke(self, name: str, body: bytes = b"1", **request: Any) -> str:
        """Return the body of an answer as text."""
        answer = self.runtime.invoke_endpoint(EndpointName=name, Body=body, **request)
        return str(answer["Body"].read().decode())

    @contextmanager
    def held_request(self, name: str) -> Iterator[list[str]]:
        """Keep one request in an endpoint's container until the block ends; what is yielded then has the answer."""
        token, answers = self.name("request"), list[str]()
        thread = threading.Thread(target=lambda: answers.append(self.invoke(name, f"wait {token}".encode())))
        thread.start()
        places = self.cloud.state_dir / "endpoints"
        arrived = wait_until(lambda: next(places.glob(f"*/{token}-arrived"), None), "the request has arrived")
        try:
            yield answers
        finally:
            arrived.with_name(f"{token}-released").touch()
            thread.join()

    def wait_until_gone(self, name: str) -> None:
        """Return when the endpoint is neither listed nor described any more."""

        def is_gone() -> bool:
            names = [found["EndpointName"] for found in self.sagemaker.list_endpoints(NameContains=name)["Endpoints"]]
            return name not in names

        wait_until(is_gone, f"{name} is gone", 60.0)
        assert refusal(lambda: self.sagemaker.describe_endpoint(EndpointName=name)) == (
            f'ValidationException: Could not find endpoint "{arn("endpoint", name)}".'
        )

    def log(self, name: str) -> list[str]:
        """Return all lines of an endpoint's log group."""
        logs = self.cloud.client("logs")
        group = f"/aws/sagemaker/Endpoints/{name}"
        groups = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
        events = logs.filter_log_events(logGroupName=group)["events"] if groups else []
        return [event["message"] for event in events]


def error_response(call: Callable[[], Any]) -> dict[str, Any]:
    """Return all of the error that a call must end with."""
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    return dict(caught.value.response)


def refusal(call: Callable[[], Any]) -> str:
    """Return code and message of the error that a call must end with."""
    error = error_response(call)["Error"]
    return f"{error['Code']}: {error['Message']}"


def arn(kind: str, name: str) -> str:
    """Return the ARN of a hosting resource, which is in lower case."""
    return f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/{name.lower()}"
