"""``python -m local_aws`` as a process of its own."""

from __future__ import annotations

import errno
import json
import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import pytest
import urllib3

from local_aws.state_lock import StateLock
from tests.support.training import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

_TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "codebuild.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
)
_INCLUDE = Path(__file__).parents[3] / "include"


def _environment() -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
    return {**kept, "PYTHONPATH": str(_INCLUDE), "HTTPS_PROXY": "http://127.0.0.1:9"}


def _run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "local_aws", *arguments]
    environment = {**_environment(), **variables}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


@contextmanager
def _running(tmp_path: Path, *options: str, **variables: str) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """Run it on a free port and yield the process and its ready file."""
    ready = tmp_path / "ready.json"
    command = [sys.executable, "-m", "local_aws", "--port", "0", "--state-dir", str(tmp_path / "state")]
    process = subprocess.Popen(
        [*command, "--ready-file", str(ready), "--region", "eu-west-1", *options],
        env={**_environment(), **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        wait_for(lambda: ready.exists() or process.poll() is not None)
        yield process, json.loads(ready.read_text())
    finally:
        process.kill()
        process.communicate()


def _start_build(ready: dict[str, Any], command: str) -> None:
    """Start a build of this one command."""
    session = boto3.Session("local", "local", region_name="eu-west-1")
    config = botocore.config.Config(proxies={})
    iam, codebuild = (
        session.client(service, endpoint_url=ready["endpoint_url"], config=config) for service in ("iam", "codebuild")
    )
    buildspec = json.dumps({"version": 0.2, "phases": {"build": {"commands": [command]}}}, indent=1)
    codebuild.create_project(
        name="images",
        serviceRole=iam.create_role(RoleName="builder", AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"],
        source={"type": "NO_SOURCE", "buildspec": buildspec},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
    )
    codebuild.start_build(projectName="images")


def test_sigterm_during_a_build_ends_it_cleanly(tmp_path: Path) -> None:
    """The build's shell ends and its files are removed before the local AWS itself is gone."""
    with _running(tmp_path) as (process, ready):
        _start_build(ready, "sleep 600")
        builds = tmp_path / "state" / "builds"
        wait_for(lambda: list(builds.glob("*/commands/002.sh")))

        process.terminate()

        assert process.wait(20) == 0
        assert [entry.name for entry in builds.iterdir()] == ["running"]


def test_it_answers_to_a_given_name_on_a_given_address(tmp_path: Path) -> None:
    """Containers call it by its name on their network; every other name is a stranger's."""
    with _running(tmp_path, "--listen", "127.0.0.2", "--host-name", "Local-AWS") as (_, ready):
        url = f"{ready['endpoint_url']}/_local/health"
        named, stranger = (
            urllib3.request("GET", url, headers={"Host": host}, retries=False) for host in ("local-aws:4566", "aws")
        )

    assert ready["endpoint_url"].startswith("http://127.0.0.2:")
    assert (named.status, stranger.status) == (200, 403)


def test_a_plain_boto3_client_needs_only_the_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS_ENDPOINT_URL and any keys are enough for every service, and no address but loopback answers."""
    with _running(tmp_path) as (_, ready):
        for name, value in {
            "AWS_ENDPOINT_URL": ready["endpoint_url"],
            "AWS_ACCESS_KEY_ID": "any",
            "AWS_SECRET_ACCESS_KEY": "any",
            "AWS_DEFAULT_REGION": ready["region"],
            "NO_PROXY": "127.0.0.1",
        }.items():
            monkeypatch.setenv(name, value)
        session = boto3.Session()

        assert session.client("sagemaker").list_training_jobs()["TrainingJobSummaries"] == []
        assert session.client("sts").get_caller_identity()["Account"] == "123456789012"
        # A server on all addresses would answer at 127.0.0.2 too.
        port = int(ready["endpoint_url"].rpartition(":")[2])
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.2", port)) == errno.ECONNREFUSED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(tmp_path: Path, number: signal.Signals) -> None:
    """It says in one line that it is ready, and ends with exit code 0 and a quiet stderr."""
    with _running(tmp_path) as (process, ready):
        process.send_signal(number)
        output, errors = process.communicate(timeout=15)

    assert process.returncode == 0
    assert output == f"local AWS ready at {ready['endpoint_url']} (region eu-west-1, engine process)\n"
    assert errors == ""


def test_a_profile_in_the_environment_changes_nothing(tmp_path: Path) -> None:
    """AWS_PROFILE names a profile of the real AWS, which the local one neither needs nor looks for."""
    with _running(tmp_path, AWS_PROFILE="x", AWS_DEFAULT_PROFILE="x") as (_, ready):
        session = boto3.Session("any", "any", region_name=ready["region"])
        config = botocore.config.Config(proxies={})
        iam, codebuild = (
            session.client(service, endpoint_url=ready["endpoint_url"], config=config)
            for service in ("iam", "codebuild")
        )

        role = iam.create_role(RoleName="builder", AssumeRolePolicyDocument=_TRUST)["Role"]["Arn"]
        project = codebuild.create_project(
            name="images",
            serviceRole=role,
            source={"type": "NO_SOURCE", "buildspec": "version: 0.2\n"},
            artifacts={"type": "NO_ARTIFACTS"},
            environment={"type": "LINUX_CONTAINER", "image": "any", "computeType": "BUILD_GENERAL1_SMALL"},
        )["project"]

        assert project["serviceRole"] == role


def test_a_second_one_leaves_the_state_directory_of_the_first_alone(tmp_path: Path) -> None:
    """It says so in one line, with exit code 1, and reaps nothing; afterwards the directory is free again."""
    notes = tmp_path / "state" / "containers"
    with _running(tmp_path) as (process, _):
        notes.mkdir(exist_ok=True)
        (notes / "999999999.json").write_text("{}")
        second = _run("--port", "0", "--state-dir", str(tmp_path / "state"))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=15)

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert f"the state directory {tmp_path / 'state'} is in use by another local AWS" in second.stderr
    assert (notes / "999999999.json").exists()
    StateLock(tmp_path / "state").release()


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    """The exit code is 1 and the line says what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        ended = _run("--port", str(port))

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert f"port {port} of 127.0.0.1 cannot be opened (Address already in use)" in ended.stderr


def test_without_an_engine_docker_is_refused_in_one_line(tmp_path: Path) -> None:
    """It says what is missing and what else there is."""
    ended = _run("--port", "0", "--engine", "docker", DOCKER_HOST=f"unix://{tmp_path}/none.sock")

    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "no Docker engine answers" in ended.stderr
    assert "--engine process" in ended.stderr


def test_without_an_engine_auto_takes_processes(tmp_path: Path) -> None:
    """The ready line says which engine it is."""
    with _running(tmp_path, "--engine", "auto", DOCKER_HOST=f"unix://{tmp_path}/none.sock") as (process, _):
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)

    assert output.endswith("engine process)\n")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--container-memory-mb", "64"), "the process engine cannot limit the memory of containers"),
        (("--engine", "docker", "--container-memory-mb", "2"), "2 MB is less than a container of Docker can have"),
    ],
)
def test_a_limit_of_memory_that_cannot_be_kept_is_refused(options: tuple[str, ...], reason: str) -> None:
    """Nothing that was asked for is dropped silently."""
    ended = _run("--port", "0", *options)

    assert ended.returncode != 0
    assert reason in ended.stderr
