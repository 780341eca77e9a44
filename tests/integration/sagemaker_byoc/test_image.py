"""Images built by the operator on a CodeBuild whose builds really run."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.operator_cloud import operator_cloud
from tests.support.process_cloud import write_context
from tests.support.task_run import TaskRun, event_of, remade

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.process_cloud import ProcessCloud

MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCloud]:
    """A local AWS with a bucket and a CodeBuild project."""
    with operator_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        cloud.client("s3").create_bucket(Bucket="sources")
        cloud.client("codebuild").create_project(
            name="images",
            source={"type": "S3", "location": "sources/replaced-by-each-build.zip"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={
                "type": "LINUX_CONTAINER",
                "image": "aws/codebuild/standard:7.0",
                "computeType": "BUILD_GENERAL1_SMALL",
                "privilegedMode": True,
            },
            serviceRole=cloud.role("builder", "codebuild.amazonaws.com"),
        )
        yield cloud


def operator(folder: Path, repository: str, **changes: Any) -> BuildPushImageOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "context_path": str(folder),
        "repository": repository,
        "project_name": "images",
        "source_bucket": "sources",
        "aws_conn_id": None,
        "poll_interval_seconds": 0.05,
    }
    return BuildPushImageOperator(task_id="build_push_image", **{**settings, **changes})


def builds(cloud: ProcessCloud) -> list[str]:
    """List all builds of the project."""
    ids: list[str] = cloud.client("codebuild").list_builds_for_project(projectName="images")["ids"]
    return ids


def test_an_image_is_built_once_and_pinned(cloud: ProcessCloud, tmp_path: Path) -> None:
    """ECR holds the image under the digest that the task returns, and the next run builds nothing."""
    folder = write_context(tmp_path / "context", {"model/net.py": "x = 1\n"})
    before = len(builds(cloud))
    run = TaskRun()
    uri = run.of(operator(folder, "team/once"))
    again = TaskRun(run_id="tomorrow").of(operator(folder, "team/once"))
    repository, _, digest = uri.partition("@")
    [image] = cloud.client("ecr").describe_images(repositoryName="team/once")["imageDetails"]
    assert repository.endswith("/team/once")
    assert image["imageDigest"] == digest
    assert again == uri
    assert len(builds(cloud)) == before + 1
    assert len(run.deferrals) == 1


def test_a_newer_base_image_of_another_region_is_built_on(cloud: ProcessCloud, tmp_path: Path) -> None:
    """It is looked up where it is, and the build logs in to its registry."""
    ecr = cloud.session.client("ecr", region_name="eu-west-1", endpoint_url=cloud.endpoint_url)
    base = ecr.create_repository(repositoryName="bases/torch")["repository"]["repositoryUri"]
    assert ".eu-west-1." in base
    folder = write_context(tmp_path / "context", {"Dockerfile": f"FROM {base}:2\nCOPY . /opt/program\n"})
    before = len(builds(cloud))
    tags = []
    for release in ("one", "two"):
        manifest = json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "layers": [], "config": {"digest": release}})
        digest = f"sha256:{hashlib.sha256(manifest.encode()).hexdigest()}"
        ecr.put_image(repositoryName="bases/torch", imageManifest=manifest, imageDigest=digest, imageTag="2")
        TaskRun(run_id=release).of(operator(folder, "followed"))
        TaskRun(run_id=f"after {release}").of(operator(folder, "followed"))
        found = cloud.client("ecr").describe_images(repositoryName="followed")["imageDetails"]
        tags.append(sorted(tag for image in found for tag in image["imageTags"]))
    assert len(builds(cloud)) == before + 2
    assert set(tags[0]) < set(tags[1])
    [build] = cloud.client("codebuild").batch_get_builds(ids=builds(cloud)[:1])["builds"]
    logs = build["logs"]
    log = cloud.client("logs").get_log_events(logGroupName=logs["groupName"], logStreamName=logs["streamName"])
    assert sum("Login Succeeded" in event["message"] for event in log["events"]) == 2


def test_build_arguments_reach_the_dockerfile_as_they_are(cloud: ProcessCloud, tmp_path: Path) -> None:
    """Quotes, spaces and dollars of a value do not reach a shell."""
    dockerfile = "FROM python:3.12-slim\nARG GREETING\nENV TOLD=$GREETING\n"
    folder = write_context(tmp_path / "context", {"Dockerfile": dockerfile})
    value = """it's "a $HOME; `id`" value"""
    uri = TaskRun().of(operator(folder, "arguments", build_args={"GREETING": value}))
    assert cloud.images.get(uri.partition("@")[2]).config.environment["TOLD"] == value


def test_a_broken_dockerfile_is_told_with_the_last_lines(cloud: ProcessCloud, tmp_path: Path) -> None:
    """The message holds what the builder printed."""
    dockerfile = "FROM python:3.12-slim\nCOPY weights.bin .\n"
    folder = write_context(tmp_path / "context", {"Dockerfile": dockerfile})
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(operator(folder, "broken"))
    assert "FAILED in phase BUILD" in str(caught.value)
    assert "weights.bin" in str(caught.value)


def test_racing_tries_of_one_task_start_one_build(cloud: ProcessCloud, tmp_path: Path) -> None:
    """The idempotency token, or the look at running builds, brings both to the same build."""
    folder = write_context(tmp_path / "context", {"train": "# race\n"})
    before = set(builds(cloud))
    barrier = threading.Barrier(2)
    triggers = []

    def start() -> None:
        barrier.wait()
        with pytest.raises(TaskDeferred) as deferral:
            operator(folder, "race").execute(TaskRun().context)
        triggers.append(deferral.value.trigger)

    threads = [threading.Thread(target=start) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [event_of(remade(trigger)) for trigger in triggers]
    assert len(set(builds(cloud)) - before) == 1
    assert events[0] == events[1]
