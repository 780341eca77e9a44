"""The edge answers boto3 as AWS would, as far as waits ask."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from local_stack.home import CHECKOUT
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return the address of an edge that runs."""
    ready: Path = tmp_path_factory.mktemp("edge") / "url"
    process = subprocess.Popen([sys.executable, str(CHECKOUT / "benchmarks" / "edge.py"), str(ready)])
    try:
        yield wait_until(lambda: ready.exists() and ready.read_text(), "the edge serves")
    finally:
        process.terminate()
        process.wait()


def client(edge: str, service: str) -> Any:
    """Return a client of the edge."""
    return boto3.client(
        service, endpoint_url=edge, region_name="us-east-1", aws_access_key_id="local", aws_secret_access_key="local"
    )


def tell(edge: str, what: str, content: Any = None) -> Any:
    """Make one of the benchmark's own calls."""
    return httpx.post(f"{edge}/_edge/{what}", json=content, trust_env=False).json()


def test_jobs_are_listed_in_pages_and_each_call_is_counted(edge: str) -> None:
    """Twelve jobs in pages of five are three calls."""
    tell(edge, "reset")
    tell(edge, "jobs", [f"job-{number}" for number in range(12)])
    pages = client(edge, "sagemaker").get_paginator("list_training_jobs").paginate(MaxResults=5)
    names = [job["TrainingJobName"] for page in pages for job in page["TrainingJobSummaries"]]
    assert sorted(names) == sorted(f"job-{number}" for number in range(12))
    assert tell(edge, "state")["calls"] == {"ListTrainingJobs": 3}


def test_a_job_ends_when_it_was_told_to_and_is_listed_as_changed(edge: str) -> None:
    """Only the job that ended was modified after it was made."""
    tell(edge, "reset")
    tell(edge, "jobs", ["ends", "goes-on"])
    sagemaker = client(edge, "sagemaker")
    made = sagemaker.describe_training_job(TrainingJobName="ends")["LastModifiedTime"]
    [moment] = tell(edge, "ends", {"ends": 1.5}).values()
    assert sagemaker.describe_training_job(TrainingJobName="ends")["TrainingJobStatus"] == "InProgress"
    ended = wait_until(
        lambda: sagemaker.list_training_jobs(StatusEquals="Completed")["TrainingJobSummaries"], "the job has ended"
    )
    assert time.time() >= moment
    assert [job["TrainingJobName"] for job in ended] == ["ends"]
    assert ended[0]["LastModifiedTime"].timestamp() == pytest.approx(moment, abs=0.001)
    assert ended[0]["LastModifiedTime"] > made


def test_an_end_wakes_whoever_waits_for_its_event(edge: str) -> None:
    """The message comes long before the twenty seconds of long polling are over, and not before the end."""
    tell(edge, "reset")
    tell(edge, "jobs", ["ends"])
    got: list[tuple[float, Any]] = []

    def receive() -> None:
        answer = client(edge, "sqs").receive_message(
            QueueUrl=f"{edge}/123456789012/ends", WaitTimeSeconds=20, MaxNumberOfMessages=10
        )
        got.append((time.time(), answer["Messages"]))

    receiver = threading.Thread(target=receive)
    receiver.start()
    wait_until(lambda: tell(edge, "state")["calls"].get("ReceiveMessage"), "somebody waits")
    [moment] = tell(edge, "ends", {"ends": 0.2}).values()
    receiver.join()
    [(when, [message])] = got
    assert 0 <= when - moment < 2
    detail = json.loads(message["Body"])["detail"]
    assert (detail["TrainingJobName"], detail["TrainingJobStatus"]) == ("ends", "Completed")


def test_a_call_that_it_does_not_know_is_an_error_and_counted(edge: str) -> None:
    """A benchmark must not take silence for an answer."""
    tell(edge, "reset")
    with pytest.raises(ClientError, match="the edge knows no ListModels"):
        client(edge, "sagemaker").list_models()
    assert tell(edge, "state")["calls"] == {"ListModels": 1}
