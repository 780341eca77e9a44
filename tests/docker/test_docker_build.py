"""Images built by a real Docker engine and pushed to a real registry."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.errors import ImageBuildInterruptedError
from sagemaker_byoc.hooks import docker_build
from tests.support.docker_registry import remove_images
from tests.support.image_task import BASE, docker_operator, write_folder
from tests.support.process_cloud import wait_until
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws
    from tests.support.registry_ecr import RegistryBackedEcr

pytestmark = pytest.mark.docker


def test_an_image_is_built_pushed_and_found_again(
    ecr: RegistryBackedEcr, aws: FakeAws, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The digest is the registry's, the context arrives with its execute bits, and the second run builds nothing."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    check = "test -x /opt/train && test ! -x /opt/model/net.py && echo greeting is $GREETING"
    folder = write_folder(tmp_path, f"ARG GREETING\nCOPY . /opt/\nRUN {check}\n")
    uri = TaskRun().of(docker_operator(folder, "team/first", build_args={"GREETING": 'it\'s "$HOME"'}))
    repository, _, digest = uri.partition("@")
    [(_, tag)] = [each["imageIds"][0].popitem() for each in aws.asked("DescribeImages")[:1]]
    assert repository == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/first"
    assert ecr.digest("team/first", tag) == digest
    assert 'greeting is it\'s "$HOME"' in caplog.messages
    assert any(message.endswith(": Pushed") for message in caplog.messages)
    assert (
        TaskRun(run_id="tomorrow").of(docker_operator(folder, "team/first", build_args={"GREETING": 'it\'s "$HOME"'}))
        == uri
    )
    assert ecr.tokens == 1


def test_a_failed_step_is_told(ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """Step, command and last lines, standard error without its colours."""
    folder = write_folder(tmp_path, "RUN echo before && echo no such wheel >&2 && test -e /nothing\n")
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(docker_operator(folder, "broken"))
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
        TaskRun().of(docker_operator(write_folder(tmp_path, dockerfile), "broken"))


def test_a_platform_that_the_engine_cannot_build_is_told(ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """The base image is there for the engine's own platform only."""
    with pytest.raises(AirflowFailException, match=r"cannot build for linux/s390x, its own is linux/"):
        TaskRun().of(docker_operator(write_folder(tmp_path, "RUN echo x\n"), "platform", platform="linux/s390x"))
    assert not ecr.images


def test_a_change_of_the_code_installs_nothing_again(
    engine: Any, ecr: RegistryBackedEcr, address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Neither on the engine that built before, nor on a fresh one, nor on that one the next time."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    installs = f"RUN mkdir /deps && echo installed for {tmp_path.name}\nCOPY model /opt/model\nCOPY train /opt/\n"
    folder = write_folder(tmp_path, installs)
    uris = {TaskRun().of(docker_operator(folder, "cached"))}
    assert f"installed for {tmp_path.name}" in caplog.messages
    for change, fresh in (("same engine", False), ("fresh engine", True), ("not so fresh any more", False)):
        if fresh:
            remove_images(engine, f"{address}/cached")
        (folder / "train").write_text(change)
        caplog.clear()
        uris.add(TaskRun().of(docker_operator(folder, "cached")))
        assert f"installed for {tmp_path.name}" not in caplog.messages
        assert [message.strip() for message in caplog.messages].count("---> Using cache") == 2
        assert any("Fetching ctx-" in message for message in caplog.messages) == fresh
    assert len(uris) == 4


@pytest.mark.parametrize("told", [True, False])
def test_a_secret_leaves_only_by_an_earlier_stage(
    ecr: RegistryBackedEcr, tmp_path: Path, caplog: pytest.LogCaptureFixture, told: bool
) -> None:
    """The history of the last stage is published, that of an earlier one is not."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    use = f"ARG TOKEN\nRUN mkdir /got && echo {tmp_path.name} $TOKEN && echo x > /got/it\n"
    folder = write_folder(tmp_path, use if told else f"{use}FROM {BASE}\nCOPY --from=0 /got /got\n")
    task = docker_operator(folder, "secret", build_args={"TOKEN": "hunter2000"}, secret_build_args=["TOKEN"])
    if told:
        with pytest.raises(AirflowFailException, match="shows the value of TOKEN"):
            TaskRun().of(task)
    else:
        assert "@sha256:" in TaskRun().of(task)
    assert f"{tmp_path.name} ***" in caplog.messages
    assert "hunter2000" not in caplog.text


@pytest.mark.parametrize("listed", [True, False])
def test_an_ignore_file_of_the_dockerfiles_own_rules_what_is_copied(
    ecr: RegistryBackedEcr, tmp_path: Path, caplog: pytest.LogCaptureFixture, listed: bool
) -> None:
    """As with BuildKit, which leaves even the Dockerfile and the ignore file out when they are listed."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    folder = write_folder(tmp_path, "COPY . /x/\nRUN cd /x && echo copied $(ls -A)\n")
    rules = "model\n" + ("Dockerfile*\n.dockerignore" if listed else "")
    (folder / "Dockerfile.dockerignore").write_text(rules)
    (folder / ".dockerignore").write_text("train\nDockerfile\n")
    TaskRun().of(docker_operator(folder, "ignored", dockerfile="./Dockerfile"))
    kept = "train" if listed else "Dockerfile Dockerfile.dockerignore train"
    assert f"copied {kept}" in caplog.messages


def test_a_registry_that_is_away_is_told(engine: Any, ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """The engine's message tells why, and Airflow may retry."""
    ecr.registry_endpoint = "http://127.0.0.1:1"
    away = docker_operator(write_folder(tmp_path, "RUN echo away\n"), "away")
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
        TaskRun().of(docker_operator(write_folder(tmp_path, "RUN echo x\n"), "none"))


CHILD = """
import sys
from pathlib import Path
from sagemaker_byoc.build_context import BuildContext
from sagemaker_byoc.hooks.docker_engine import docker_engine
from sagemaker_byoc.mask import Mask
with docker_engine() as engine:
    engine.build(BuildContext(Path(sys.argv[1])), "never/made:1", mask=Mask(), references={}, options={})
"""


def test_the_step_of_a_killed_task_is_gone(engine: Any, tmp_path: Path) -> None:
    """A worker that is shot cannot ask for it: the engine ends the step when its client is gone."""
    folder = write_folder(tmp_path, f"RUN echo {tmp_path.name}; sleep 600\n")

    def steps() -> list[str]:
        return [found["Id"] for found in engine.api.containers() if tmp_path.name in found["Command"]]

    source = Path(docker_build.__file__).parents[2]
    variables = {**os.environ, "PYTHONPATH": str(source)}
    with subprocess.Popen([sys.executable, "-c", CHILD, str(folder)], env=variables) as task:
        try:
            wait_until(steps, "the step runs", 60)
        finally:
            task.kill()
    wait_until(lambda: not steps(), "the step is gone", 60)


def test_a_secret_is_not_in_the_traceback_of_a_refused_build(ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """The engine refuses the whole request, whose address holds the secret in another spelling."""
    task = docker_operator(
        write_folder(tmp_path, "ARG TOKEN\nFOO\n"),
        "broken",
        build_args={"TOKEN": "a/+=b c"},
        secret_build_args=["TOKEN"],
    )
    with pytest.raises(AirflowFailException, match="unknown instruction: FOO") as caught:
        TaskRun().of(task)
    assert "a%2F" not in "".join(traceback.format_exception(caught.value))
