"""Images built by a real Docker engine and pushed to a real registry."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any
from unittest import mock

import docker
import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.errors import ImageBuildInterruptedError
from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.docker_registry import busybox_root, registry, remove_images, require_docker
from tests.support.fake_aws import FakeAws, fake_aws
from tests.support.registry_ecr import RegistryBackedEcr
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.docker

BASE = f"sagemaker-byoc-test-base:{os.getpid()}"


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """The engine, with a base image that holds a shell, which is removed at the end."""
    require_docker()
    client = docker.from_env()
    client.api.import_image_from_data(busybox_root(), *BASE.split(":"))
    yield client
    client.images.remove(BASE, force=True)
    client.close()


@pytest.fixture(scope="module")
def address(engine: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry for all tests; the engine's images for it are removed, and no others."""
    with registry(tmp_path_factory.mktemp("registry")) as address:
        yield address
        remove_images(engine, f"{address}/")


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS as a table of answers."""
    with fake_aws() as aws:
        yield aws


@pytest.fixture
def ecr(aws: FakeAws, address: str) -> RegistryBackedEcr:
    """ECR, whose data plane is the registry."""
    return RegistryBackedEcr(aws, address)


def write(folder: Path, dockerfile: str) -> Path:
    """Write a context with a Dockerfile and an executable ``train``."""
    (folder / "model").mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(f"FROM {BASE}\n{dockerfile}")
    (folder / "train").write_text(f"#!/bin/sh\necho {folder.name}\n")
    (folder / "train").chmod(0o700)
    (folder / "model" / "net.py").write_text("x = 1\n")
    return folder


def operator(folder: Path, repository: str, **changes: Any) -> BuildPushImageOperator:
    """Make the operator as a DAG would."""
    settings = {"context_path": str(folder), "repository": repository, "builder": "docker", "aws_conn_id": None}
    return BuildPushImageOperator(task_id="build_push_image", **{**settings, **changes})


def test_an_image_is_built_pushed_and_found_again(
    ecr: RegistryBackedEcr, aws: FakeAws, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The digest is the registry's, the context arrives with its execute bits, and the second run builds nothing."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    check = "test -x /opt/train && test ! -x /opt/model/net.py && echo greeting is $GREETING"
    folder = write(tmp_path, f"ARG GREETING\nCOPY . /opt/\nRUN {check}\n")
    uri = TaskRun().of(operator(folder, "team/first", build_args={"GREETING": 'it\'s "$HOME"'}))
    repository, _, digest = uri.partition("@")
    [(_, tag)] = [each["imageIds"][0].popitem() for each in aws.asked("DescribeImages")[:1]]
    assert repository == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/first"
    assert ecr.digest("team/first", tag) == digest
    assert 'greeting is it\'s "$HOME"' in caplog.messages
    assert any(message.endswith(": Pushed") for message in caplog.messages)
    assert (
        TaskRun(run_id="tomorrow").of(operator(folder, "team/first", build_args={"GREETING": 'it\'s "$HOME"'})) == uri
    )
    assert ecr.tokens == 1


def test_a_failed_step_is_told(ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """Step, command and last lines, standard error without its colours."""
    folder = write(tmp_path, "RUN echo before && echo no such wheel >&2 && test -e /nothing\n")
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(operator(folder, "broken"))
    for part in ("step 2/2, RUN echo before", "returned a non-zero code: 1", "\nno such wheel\n"):
        assert part in str(caught.value)


@pytest.mark.parametrize(
    ("dockerfile", "message"),
    [("FOO bar\n", "unknown instruction: FOO"), ("COPY weights.bin /\n", "step 2/2, COPY weights.bin.*COPY failed")],
)
def test_a_dockerfile_that_cannot_be_built_is_told(
    ecr: RegistryBackedEcr, tmp_path: Path, dockerfile: str, message: str
) -> None:
    """The engine's own words reach the user."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(write(tmp_path, dockerfile), "broken"))


def test_a_platform_that_the_engine_cannot_build_is_told(ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """The base image is there for the engine's own platform only."""
    with pytest.raises(AirflowFailException, match=r"cannot build for linux/s390x, its own is linux/"):
        TaskRun().of(operator(write(tmp_path, "RUN echo x\n"), "platform", platform="linux/s390x"))
    assert not ecr.images


def test_a_fresh_engine_builds_on_the_layers_of_the_previous_image(
    engine: Any, ecr: RegistryBackedEcr, address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A change of the code does not run again what stands before its COPY."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    folder = write(tmp_path, f"RUN mkdir /deps && echo installed for {tmp_path.name}\nCOPY train /opt/\n")
    first = TaskRun().of(operator(folder, "cached"))
    remove_images(engine, f"{address}/cached")
    (folder / "train").write_text("changed")
    caplog.clear()
    assert TaskRun().of(operator(folder, "cached")) != first
    assert "---> Using cache" in [message.strip() for message in caplog.messages]
    assert f"installed for {tmp_path.name}" not in caplog.messages


@pytest.mark.parametrize("told", [True, False])
def test_a_secret_leaves_only_by_an_earlier_stage(
    ecr: RegistryBackedEcr, tmp_path: Path, caplog: pytest.LogCaptureFixture, told: bool
) -> None:
    """The history of the last stage is published, that of an earlier one is not."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    use = f"ARG TOKEN\nRUN mkdir /got && echo {tmp_path.name} $TOKEN && echo x > /got/it\n"
    folder = write(tmp_path, use if told else f"{use}FROM {BASE}\nCOPY --from=0 /got /got\n")
    task = operator(folder, "secret", build_args={"TOKEN": "hunter2000"}, secret_build_args=["TOKEN"])
    if told:
        with pytest.raises(AirflowFailException, match="shows the value of TOKEN"):
            TaskRun().of(task)
    else:
        assert "@sha256:" in TaskRun().of(task)
    assert f"{tmp_path.name} ***" in caplog.messages
    assert "hunter2000" not in caplog.text


def test_a_registry_that_is_away_is_told(engine: Any, ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """The engine's message tells why, and Airflow may retry."""
    ecr.registry_endpoint = "http://127.0.0.1:1"
    away = operator(write(tmp_path, "RUN echo away\n"), "away")
    with (
        mock.patch("sagemaker_byoc.hooks.docker_build.PUSH_ATTEMPTS", 1),
        pytest.raises(ImageBuildInterruptedError, match=r"built, but not pushed.*connection refused"),
    ):
        TaskRun().of(away)
    remove_images(engine, "127.0.0.1:1/away")


def test_an_engine_that_is_not_there_is_told(
    ecr: RegistryBackedEcr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names the address that was tried."""
    address = f"unix://{tmp_path}/none.sock"
    monkeypatch.setenv("DOCKER_HOST", address)
    with pytest.raises(AirflowFailException, match=rf"no Docker engine does at {address}.*builder='codebuild'"):
        TaskRun().of(operator(write(tmp_path, "RUN echo x\n"), "none"))
