"""The smoke test of endpoints with several variants, whose containers really answer, or do not."""

from __future__ import annotations

import io
import itertools
import json
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.errors import SmokeTestError
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from tests.support.operator_cloud import operator_cloud
from tests.support.process_cloud import ProcessCloud, archive
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator

CSV = "length,kind\n1,short\n2,short\n8,long\n9,long\n"
REACHED: dict[str, Any] = {"aws_conn_id": None, "poll_interval_seconds": 0.05}

SERVE = """\
#!/usr/bin/env python3
import itertools, json, os, pathlib, signal, threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

mood = (pathlib.Path(os.environ["SAGEMAKER_BASE_DIR"]) / "model/mood").read_text()
numbers = itertools.count()

def kind(length):
    if mood == "fickle":
        return ["short", "long"][next(numbers) % 2]
    return "short" if length < 5 and mood == "good" else "long"

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
        _, *lines = self.rfile.read(int(self.headers["Content-Length"])).decode().splitlines()
        if mood == "silent":
            self.answer(500, b"")
        elif mood == "garbled":
            self.answer(200, b"<html>")
        elif mood == "asleep":
            threading.Event().wait()
        else:
            self.answer(200, json.dumps([kind(float(line)) for line in lines]).encode())

signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
address = (os.environ["SAGEMAKER_BIND_TO_ADDRESS"], int(os.environ["SAGEMAKER_BIND_TO_PORT"]))
ThreadingHTTPServer(address, Handler).serve_forever()
"""
"""A container that answers as the model's mood is."""


@dataclass
class Account:
    """A local AWS with the image, and one bucket."""

    cloud: ProcessCloud
    numbers: Any = field(default_factory=lambda: itertools.count(1))

    def __post_init__(self) -> None:
        self.sagemaker, self.s3 = self.cloud.client("sagemaker"), self.cloud.client("s3")
        self.s3.create_bucket(Bucket="models")
        self.role_arn = self.cloud.role("serving", "sagemaker.amazonaws.com")
        self.image = self.cloud.push("moody", {"serve": SERVE})

    def model(self, mood: str) -> str:
        """Make a model with this mood; return its name."""
        name = f"model-{next(self.numbers)}"
        self.s3.put_object(Bucket="models", Key=f"{name}.tar.gz", Body=archive({"mood": mood.encode()}))
        container = {"Image": self.image, "ModelDataUrl": f"s3://models/{name}.tar.gz"}
        self.sagemaker.create_model(ModelName=name, ExecutionRoleArn=self.role_arn, PrimaryContainer=container)
        return name

    def endpoint(self, **weights: str) -> dict[str, Any]:
        """Deploy a variant for each mood, by its name and with its weight; return what the sensor returns."""
        variants = [
            {
                "VariantName": mood,
                "ModelName": self.model(mood),
                "InitialVariantWeight": weight,
                "InstanceType": "ml.m5.large",
                "InitialInstanceCount": "1",
            }
            for mood, weight in weights.items()
        ]
        create = CreateEndpointOperator(
            task_id="create_endpoint",
            endpoint_name=f"moods-{next(self.numbers)}",
            config={"ProductionVariants": variants},
            **REACHED,
        )
        deployed = TaskRun().of(create)
        live: dict[str, Any] = TaskRun().of(EndpointSensor(task_id="wait", endpoint=deployed, retries=1, **REACHED))
        return live

    def report(self, key: str) -> dict[str, Any]:
        """Return a report from the bucket."""
        found = self.s3.get_object(Bucket="models", Key=key)
        assert found["ContentType"] == "application/json"
        report: dict[str, Any] = json.loads(found["Body"].read())
        return report


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One local AWS for the tests of this module."""
    with operator_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield Account(cloud)


def smoke_test(live: dict[str, Any], run: TaskRun | None = None, **changes: Any) -> Any:
    """Run the smoke test of what was deployed and return its report."""
    settings: dict[str, Any] = {**live, "records": CSV, "label_column": "kind", "aws_conn_id": None}
    return (run or TaskRun()).of(InvokeSmokeTestOperator(task_id="smoke_test", **{**settings, **changes}))


def long_from_five_on(features: dict[str, Any], label: str, prediction: Any) -> bool | str:
    """Judge by the length alone; the test names it by its import path."""
    right = "short" if float(features["length"]) < 5 else "long"
    return prediction == right or f"{features['length']} is {right}"


def test_a_bad_variant_is_found_behind_a_good_one(account: Account) -> None:
    """The weights, text as from params, would rarely let it answer; asked by its name it fails the task."""
    live = account.endpoint(good="0.95", bad="0.05")
    endpoint = account.sagemaker.describe_endpoint(EndpointName=live["endpoint_name"])
    weights = {variant["VariantName"]: variant["CurrentWeight"] for variant in endpoint["ProductionVariants"]}
    assert weights == pytest.approx({"good": 0.95, "bad": 0.05})
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=r"in the variants bad: variant bad: accuracy 0\.500") as caught:
        smoke_test(live, run, each_variant=True, repeats=2, report_uri="s3://models/two/smoke-test.json")
    assert isinstance(caught.value.__cause__, SmokeTestError)
    assert run.xcoms["return_value"]["latency_ms"].keys() == {"p50", "p95", "p99", "max"}
    report = account.report("two/smoke-test.json")
    assert {each["variant"]: each["correct"] for each in report["variants"]} == {"good": 4, "bad": 2}
    assert report["endpoint_config_name"] == live["endpoint_config_name"]
    assert smoke_test(live, target_variant="good")["passed"]


def test_each_way_not_to_answer_is_told(account: Account) -> None:
    """A silent 500, garbage and an answer that does not come: each with variant, record and log, all in the report."""
    live = account.endpoint(silent="0", garbled="0", asleep="0", good="1")
    impatient = {"read_timeout": 3, "retries": {"total_max_attempts": 1}}
    with pytest.raises(AirflowFailException, match="in the variants silent, garbled, asleep:") as caught:
        smoke_test(live, each_variant=True, botocore_config=impatient, report_uri="s3://models/ill/smoke-test.json")
    text = str(caught.value)
    assert f"variant silent: record 1: The container behind {live['endpoint_name']} answered with status 500: " in text
    assert "variant garbled: record 1: The answer (application/json) cannot be read as predictions" in text
    assert f"variant asleep: record 1: {live['endpoint_name']} did not answer within 3 s" in text
    for mood in ("silent", "garbled", "asleep"):
        assert f"$3FlogStreamNameFilter$3D{mood}$252F" in text
    passed = {each["variant"]: each["passed"] for each in account.report("ill/smoke-test.json")["variants"]}
    assert passed == {"silent": False, "garbled": False, "asleep": False, "good": True}


def test_a_single_variant_that_fails_is_named(account: Account) -> None:
    """Nobody asked for it by its name, but there is no other."""
    live = account.endpoint(silent="1")
    with pytest.raises(AirflowFailException, match="good enough: variant silent: record 1: The container"):
        smoke_test(live)


def test_answers_that_change_are_found_by_repeats(account: Account) -> None:
    """One round is right by luck, and a second one is not."""
    live = account.endpoint(fickle="1")
    settings: dict[str, Any] = {"records": "length,kind\n1,short\n9,long\n2,short\n"}
    assert smoke_test(live, **settings, warm_up_requests=0)["passed"]
    with pytest.raises(AirflowFailException, match=r"0 of 3 right, 3 not the same in every repeat") as caught:
        smoke_test(live, **settings, warm_up_requests=1, repeats=2)
    assert ["2", "long", "long", "(1x),", "short", "(1x)", "NO", "NO"] in [
        line.split() for line in str(caught.value).splitlines()
    ]


def test_json_lines_from_s3_are_judged_by_a_checker(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """The report of a pass is written as well."""
    monkeypatch.setitem(sys.modules, "length_rules", sys.modules[__name__])
    lines = "".join(json.dumps({"length": length, "kind": "unknown"}) + "\n" for length in (1, 9))
    account.s3.put_object(Bucket="models", Key="known/test.jsonl", Body=io.BytesIO(lines.encode()))
    settings: dict[str, Any] = {"records": "s3://models/known/test.jsonl", "checker": "length_rules:long_from_five_on"}
    live = account.endpoint(good="1")
    report = smoke_test(live, **settings, report_uri="s3://models/good/smoke-test.json")
    assert (report["correct"], report["passed"]) == (2, True)
    assert account.report("good/smoke-test.json") == {**report, "endpoint_config_name": live["endpoint_config_name"]}
