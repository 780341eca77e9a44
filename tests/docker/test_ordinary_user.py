"""The local AWS as somebody who is not root, while its containers are."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.docker_process import PACKAGES, running_local_aws
from tests.support.process_cloud import wait_until
from tests.support.requirement import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.docker_cloud import DockerCloud

_NOBODY = 65_534
_TRAINS_ON = """\
#!/bin/sh
mkdir -p /opt/ml/model/deep
chmod 700 /opt/ml/model/deep
echo begun
while true; do sleep 1; done
"""
_TRAIN = """\
#!/bin/sh
mkdir -p /opt/ml/model/deep /opt/ml/checkpoints/kept
echo 1 > /opt/ml/model/deep/weights
chmod 700 /opt/ml/model/deep
chmod 600 /opt/ml/model/deep/weights
"""


def _python_of_nobody() -> list[str]:
    """Return the words that start a Python as nobody with access to the engine; skip where that cannot be had."""
    socket = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        skip_or_fail("only root can become another user (with setpriv of util-linux)")
    user, group = f"--reuid={_NOBODY}", f"--regid={_NOBODY}"
    words = ["setpriv", user, group, f"--groups={socket.stat().st_gid}", "--no-new-privs"]
    for python in (sys.executable, "/usr/bin/python3"):
        # The local AWS starts others with its own Python.
        probe = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import docker, moto'], check=True)"
        command, environment = [*words, python], {**os.environ, "PYTHONPATH": PACKAGES}
        if not subprocess.run([*command, "-c", probe], env=environment, capture_output=True, check=False).returncode:
            return command
    return skip_or_fail("an ordinary user may run no Python of this machine that has the packages")


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory of nobody's; pytest's own are on a way that nobody may not go."""
    with tempfile.TemporaryDirectory(prefix="nobody-") as made:
        os.chown(made, _NOBODY, _NOBODY)
        yield Path(made)


def test_an_ordinary_user_uploads_and_removes_what_root_wrote(cloud: DockerCloud, directory: Path) -> None:
    """Files of containers are handed to the user when they have ended, so the artifact is whole and nothing stays."""
    with running_local_aws(cloud, directory, _python_of_nobody()) as aws:
        image = aws.cloud.push("by-nobody", {"train": _TRAIN})

        job = aws.cloud.run_job("by-nobody", image)

        assert job["TrainingJobStatus"] == "Completed", job.get("FailureReason")
        assert aws.cloud.artifact("by-nobody") == {"deep/weights": "1\n"}
        assert list((directory / "state" / "training").iterdir()) == []


def test_an_ordinary_user_can_remove_what_a_killed_local_aws_left(cloud: DockerCloud, directory: Path) -> None:
    """Its watchdog hands root's files over when it removes the container, so the next start can empty the folder."""
    with running_local_aws(cloud, directory, _python_of_nobody()) as aws:
        aws.cloud.create_job("killed", aws.cloud.push("left-by-nobody", {"train": _TRAINS_ON}))
        wait_until(lambda: aws.cloud.log("killed") == ["begun"], "the job runs")
        training = directory / "state" / "training"
        deep = next(training.rglob("deep"))
        assert deep.stat().st_uid == 0

        aws.kill(with_watchdog=False)

        wait_until(lambda: not aws.in_engine(), "the watchdog has removed the container")
        wait_until(
            lambda: {path.stat().st_uid for path in training.rglob("*")} == {_NOBODY}, "the files are handed over"
        )
