"""The wait for transform jobs inside the triggerer."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.triggers.transform_job import TransformJobTrigger
from tests.support.airflow_pipe import note, task_is
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_transform import FakeTransform
from tests.support.task_run import event_of, remade

NAMES = ["first", "second"]


@pytest.fixture
def transform(aws: FakeAws) -> FakeTransform:
    """SageMaker with two running jobs."""
    transform = FakeTransform(aws)
    source = {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/questions/"}}
    for name in NAMES:
        transform.create(
            TransformJobName=name,
            ModelName="model",
            TransformInput={"DataSource": source},
            TransformOutput={"S3OutputPath": f"s3://bucket/{name}"},
            TransformResources={"InstanceType": "ml.m5.large", "InstanceCount": 1},
        )
    return transform


def trigger(**changes: Any) -> TransformJobTrigger:
    """Make the trigger as the triggerer does, from what the database keeps of it."""
    connection = AwsConnection(aws_conn_id=None).serialize()
    settings: dict[str, Any] = {"connection": connection, "names": NAMES, "poll_interval_seconds": 0}
    made: TransformJobTrigger = remade(TransformJobTrigger(**settings | changes))
    made._task_instance = SimpleNamespace(
        dag_id="retrain", run_id="scheduled__2026-01-02", task_id="task", map_index=-1, try_number=1
    )
    return made


def test_it_fires_when_all_jobs_have_ended(transform: FakeTransform) -> None:
    """However they ended: the task decides what that means."""
    transform.jobs["first"]["TransformJobStatus"] = "Failed"
    assert event_of(trigger()) == {"ended": NAMES}
    assert transform.jobs["second"]["TransformJobStatus"] == "Completed"


def test_throttling_does_not_end_the_wait(aws: FakeAws, transform: FakeTransform) -> None:
    """A look that fails for a passing reason is made again."""
    refusals = [AwsSays("ThrottlingException", "Rate exceeded")] * 3

    def describe(**request: Any) -> dict[str, Any]:
        if refusals:
            raise refusals.pop()
        return transform.describe(**request)

    aws.on("DescribeTransformJob", describe)
    assert event_of(trigger()) == {"ended": NAMES}


def test_a_look_that_can_never_succeed_ends_the_wait(aws: FakeAws, transform: FakeTransform) -> None:
    """The event has the reason; nothing ends silently."""
    assert "allowed is the name of a transform job" in event_of(trigger(names=["unknown"]))["error"]
    aws.on("DescribeTransformJob", AwsSays("AccessDeniedException", "not authorized"))
    assert "not authorized" in event_of(trigger())["error"]


@pytest.mark.parametrize(
    ("state", "statuses"),
    [("failed", ["InProgress", "Stopping"]), (None, ["InProgress", "Stopping"]), ("deferred", ["InProgress"] * 2)],
)
def test_a_person_who_ends_the_wait_stops_the_jobs_of_the_run(
    transform: FakeTransform, state: str | None, statuses: list[str]
) -> None:
    """Those of other runs go on, and all of them when the triggerer only loses the wait."""
    with task_is(state, noted=note(1)):
        asyncio.run(trigger(stopped_on_kill=["second"]).on_kill())
    assert [job["TransformJobStatus"] for job in transform.jobs.values()] == statuses


def test_a_stop_that_fails_is_an_error_in_the_log(
    aws: FakeAws, transform: FakeTransform, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody stops the job any more, so that its name and its page have to be told."""
    aws.on("StopTransformJob", AwsSays("AccessDeniedException", "not for you"))
    with task_is("failed"):
        asyncio.run(trigger(stopped_on_kill=["second"]).on_kill())
    captured = capsys.readouterr()
    [line] = [line for line in (captured.out + captured.err).splitlines() if "[error" in line]
    for text in ("Transform job second could not be stopped", "#/transform-jobs/second", "not for you"):
        assert text in line
