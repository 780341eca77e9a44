"""Building images, seen from the requests that reach AWS."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from airflow.sdk.exceptions import AirflowFailException, TaskDeferred

from sagemaker_byoc.errors import ImageBuildInterruptedError
from sagemaker_byoc.links import LogLink
from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.airflow_pipe import note, task_is
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_build import DIGEST, FakeBuild
from tests.support.task_run import TaskRun, remade

if TYPE_CHECKING:
    from pathlib import Path

PINNED = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/iris@{DIGEST}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a Dockerfile and a program."""
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "train").write_text("#!/bin/sh\n")
    return tmp_path


def operator(folder: Path, **changes: Any) -> BuildPushImageOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "context_path": str(folder),
        "repository": "iris",
        "project_name": "images",
        "source_bucket": "bucket",
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
    }
    return BuildPushImageOperator(task_id="build_push_image", **{**settings, **changes})


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_new_folder_is_built_and_pinned_by_digest(
    aws: FakeAws, builds: FakeBuild, folder: Path, deferrable: bool
) -> None:
    """The archive reaches S3, the build reads it, and the result is what ECR reports."""
    run = TaskRun()
    assert run.of(operator(folder, deferrable=deferrable)) == PINNED
    assert builds.archive() == {"Dockerfile": b"FROM scratch\n", "train": b"#!/bin/sh\n"}
    [request] = aws.asked("StartBuild")
    [key] = builds.objects
    assert request["sourceLocationOverride"] == f"bucket/{key}"
    assert len(run.deferrals) == int(deferrable)


def test_the_button_leads_to_the_log_of_the_build(builds: FakeBuild, folder: Path) -> None:
    """It works while the build still runs."""
    run = TaskRun()
    run.of(operator(folder))
    assert "codebuild" in run.xcoms[LogLink().xcom_key]


def test_an_unchanged_folder_is_not_built_again(aws: FakeAws, builds: FakeBuild, folder: Path) -> None:
    """One look at ECR is all that it costs, and nothing is uploaded."""
    TaskRun().of(operator(folder))
    calls = len(aws.calls)
    assert TaskRun(run_id="tomorrow").of(operator(folder)) == PINNED
    assert [name for name, _ in aws.calls[calls:]] == ["DescribeRepositories", "DescribeImages"]


def test_a_changed_folder_is_built_again(aws: FakeAws, builds: FakeBuild, folder: Path) -> None:
    """Another content has another tag."""
    TaskRun().of(operator(folder))
    (folder / "train").write_text("#!/bin/bash\n")
    TaskRun().of(operator(folder))
    assert len(aws.asked("StartBuild")) == 2


def test_a_folder_that_changes_while_it_is_built_does_not_confuse_the_result(builds: FakeBuild, folder: Path) -> None:
    """The task remembers what it ordered across the deferral."""
    waiting = operator(folder)
    run = TaskRun()
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute(run.context)
    builds._end(next(iter(builds.builds.values())))
    (folder / "train").write_text("changed")
    event = {"build_id": "images:1"}
    assert waiting.execute_complete(run.context, event, **(deferral.value.kwargs or {})) == PINNED


def test_a_retry_adopts_the_build_that_is_running(aws: FakeAws, builds: FakeBuild, folder: Path) -> None:
    """A worker that died after StartBuild leaves a build, and the retry finds it."""
    with pytest.raises(TaskDeferred):
        operator(folder).execute(TaskRun().context)
    assert TaskRun().of(operator(folder)) == PINNED
    assert len(aws.asked("StartBuild")) == 1


def test_the_archive_is_uploaded_once(aws: FakeAws, builds: FakeBuild, folder: Path) -> None:
    """A second build of the same content, after a failure, finds it in S3."""
    builds.outcome, builds.pushes = "FAILED", False
    for _ in range(2):
        with pytest.raises(AirflowFailException):
            TaskRun().of(operator(folder))
    assert len(aws.asked("PutObject")) == 1
    tokens = {request["idempotencyToken"] for request in aws.asked("StartBuild")}
    assert len(tokens) == 2


def test_a_failed_build_tells_phase_message_log_and_page(builds: FakeBuild, folder: Path) -> None:
    """Nobody has to open the console to learn what went wrong."""
    builds.outcome, builds.pushes = "FAILED", False
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(operator(folder))
    for part in ("FAILED in phase BUILD", "exit status 1", "no matching distribution", "/123456789012/projects/images"):
        assert part in str(caught.value)


@pytest.mark.parametrize("code", ["AccessDeniedException", "ThrottlingException"])
def test_a_log_that_cannot_be_read_does_not_hide_the_failed_build(
    aws: FakeAws, builds: FakeBuild, folder: Path, code: str
) -> None:
    """The phase and CodeBuild's message are told all the same, and the build is not repeated for the log."""
    builds.outcome, builds.pushes = "FAILED", False
    aws.on("GetLogEvents", AwsSays(code, "no log today"))
    with pytest.raises(AirflowFailException, match=r"FAILED in phase BUILD: exit status 1") as caught:
        TaskRun().of(operator(folder))
    assert "(the log could not be read: " in str(caught.value)


def test_a_wait_that_broke_off_fails_the_task(builds: FakeBuild, folder: Path) -> None:
    """The trigger gives up only where no further look would succeed."""
    with pytest.raises(AirflowFailException, match="not authorized"):
        operator(folder).execute_complete(TaskRun().context, {"error": "not authorized to look"})


def test_a_build_without_an_image_is_a_failure(builds: FakeBuild, folder: Path) -> None:
    """The digest is read back and never guessed."""
    builds.pushes = False
    with pytest.raises(AirflowFailException, match="ECR does not hold"):
        TaskRun().of(operator(folder))


def test_a_lost_race_for_the_tag_is_a_success(builds: FakeBuild, folder: Path) -> None:
    """ECR refused the second push of the same content, so the image is there."""
    builds.outcome, builds.pushes = "FAILED", True
    assert TaskRun().of(operator(folder)) == PINNED


def test_a_fault_of_codebuild_is_worth_a_retry(builds: FakeBuild, folder: Path) -> None:
    """FAULT speaks of the platform, not of the Dockerfile."""
    builds.outcome, builds.pushes = "FAULT", False
    with pytest.raises(ImageBuildInterruptedError, match="FAULT"):
        TaskRun().of(operator(folder))


def test_a_repository_that_another_run_made_is_used(aws: FakeAws, builds: FakeBuild, folder: Path) -> None:
    """Two first runs at once need one repository."""
    builds.repositories.clear()

    def create(**request: Any) -> dict[str, Any]:
        builds.repositories.add(request["repositoryName"])
        raise AwsSays("RepositoryAlreadyExistsException", "already exists")

    aws.on("CreateRepository", create)
    assert TaskRun().of(operator(folder)) == PINNED


REFUSED = [
    ({"create_repository": False, "repository": "none"}, "repository: got 'none'.*create_repository=True"),
    ({"repository": "Iris"}, "repository.repositoryName: got 'Iris'"),
    ({"builder": "kaniko"}, "builder: got 'kaniko'; allowed is 'codebuild', 'docker'"),
    ({"project_name": ""}, "project_name"),
    ({"source_bucket": ""}, "source_bucket"),
    ({"context_path": "/does/not/exist"}, "context_path"),
    ({"dockerfile": "none"}, "dockerfile: got 'none'"),
    ({"build_args": ["a"]}, "build_args"),
    ({"secret_build_args": ["TOKEN"], "build_args": {"A": "1"}}, "secret_build_args: got 'TOKEN'.*build_args \\(A\\)"),
    ({"secret_build_args": ["A"], "build_args": {"A": "1"}}, "secret_build_args.*environmentVariablesOverride"),
    ({"builder": "docker", "config": {"tag": "x"}}, "config.tag: got 'x'.*network_mode"),
    ({"config": {"timeoutInMinutesOverride": "1"}}, "config.timeoutInMinutesOverride"),
    ({"config": {"imageOverrides": "x"}}, "config.imageOverrides.*imageOverride"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_bad_input_is_refused_before_anything_is_made(
    aws: FakeAws, builds: FakeBuild, folder: Path, changes: dict[str, Any], message: str
) -> None:
    """The message names the field, and nothing was uploaded, created or started."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(folder, **changes))
    assert not {name for name, _ in aws.calls} & {"CreateRepository", "PutObject", "StartBuild"}


def test_an_unknown_project_is_named(aws: FakeAws, builds: FakeBuild, folder: Path) -> None:
    """AWS's bare refusal is put into the user's words."""
    aws.on("ListBuildsForProject", AwsSays("ResourceNotFoundException", "The provided project does not exist"))
    with pytest.raises(AirflowFailException, match="project_name: got 'images'"):
        TaskRun().of(operator(folder))


def deferred(folder: Path, run: TaskRun, **changes: Any) -> Any:
    """Start a build and return the trigger that waits for it, with its task."""
    with pytest.raises(TaskDeferred) as deferral:
        operator(folder, **changes).execute(run.context)
    trigger = remade(deferral.value.trigger)
    trigger._task_instance = SimpleNamespace(
        dag_id="retrain", run_id=run.run_id, task_id="build_push_image", map_index=-1, try_number=1
    )
    return trigger


@pytest.mark.parametrize(
    ("state", "changes", "stopped"),
    [("failed", {}, 1), (None, {}, 1), ("deferred", {}, 0), ("failed", {"stop_on_kill": False}, 0)],
)
def test_only_a_person_stops_the_build(
    aws: FakeAws, builds: FakeBuild, folder: Path, state: str | None, changes: dict[str, Any], stopped: int
) -> None:
    """A triggerer that lost its triggers gets the same call; the task is still deferred then."""
    run = TaskRun()
    trigger = deferred(folder, run, **changes)
    with task_is(state, entry="build_push_image", noted=note(1)):
        asyncio.run(trigger.on_kill())
    assert len(aws.asked("StopBuild")) == stopped


@pytest.mark.parametrize(("state", "stopped"), [("failed", 1), ("running", 0)])
def test_a_worker_that_shuts_down_leaves_the_build_alone(
    aws: FakeAws, builds: FakeBuild, folder: Path, state: str, stopped: int
) -> None:
    """Airflow calls on_kill for a kill and for a shutdown; only after a kill the task has left its state."""
    run = TaskRun()
    waiting = operator(folder, deferrable=False)

    def killed(_: float) -> None:
        with task_is(state, entry="build_push_image"):
            waiting.on_kill()

    with mock.patch("time.sleep", killed), suppress(AirflowFailException):
        run.of(waiting)
    assert len(aws.asked("StopBuild")) == stopped


def test_a_build_of_another_run_is_not_stopped(aws: FakeAws, builds: FakeBuild, folder: Path) -> None:
    """It is adopted, but the other run waits for it, too."""
    with pytest.raises(TaskDeferred):
        operator(folder).execute(TaskRun().context)
    trigger = deferred(folder, replace(TaskRun(), run_id="another"))
    asyncio.run(trigger.on_kill())
    assert len(aws.asked("StartBuild")) == 1
    assert not aws.asked("StopBuild")
