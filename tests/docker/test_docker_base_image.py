"""Base images that get newer, with a real Docker engine and a real registry."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.docker_registry import ask, busybox_root, registry, remove_images
from tests.support.image_task import docker_operator, write_folder
from tests.support.registry_ecr import RegistryBackedEcr
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.fake_aws import FakeAws

pytestmark = pytest.mark.docker

OWN = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
LOCK = "AWS:$2b$04$SvKRLVh7Tssi6cGvUuibp.0LRZ3f425YE8swmON2xTEeVs2LrClJq"
"""Opens to the password ``token-1``."""
READ = "RUN cat /usr/local/bin/release\nCOPY train /opt/\n"


def publish(engine: Any, name: str, release: str, **auth: str) -> str:
    """Push a base image that tells its release; return its digest. The engine keeps no copy."""
    repository, _, tag = name.rpartition(":")
    engine.api.import_image_from_data(busybox_root({"release": f"{release}\n"}), repository, tag)
    steps = list(engine.api.push(repository, tag, stream=True, decode=True, auth_config=auth or None))
    engine.images.remove(name, force=True)
    [digest] = [step["aux"]["Digest"] for step in steps if "aux" in step]
    return str(digest)


@pytest.fixture(autouse=True)
def told(caplog: pytest.LogCaptureFixture) -> None:
    """Hear the builds."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")


def test_a_newer_base_image_is_built_on_though_the_engine_has_the_older_one(
    engine: Any, ecr: RegistryBackedEcr, address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The engine by itself would go on building on its copy."""
    base = f"{address}/bases/followed:1"
    old = publish(engine, base, "release one")
    task = docker_operator(write_folder(tmp_path, READ, base), "followed")
    first = TaskRun().of(task)
    assert f"Step 1/3 : FROM {base}@{old}" in caplog.messages
    new = publish(engine, base, "release two")
    engine.api.pull(f"{address}/bases/followed@{old}")
    engine.api.tag(f"{address}/bases/followed@{old}", f"{address}/bases/followed", "1")
    caplog.clear()
    second = TaskRun().of(task)
    assert f"Step 1/3 : FROM {base}@{new}" in caplog.messages
    assert "release two" in caplog.messages
    assert first != second
    caplog.clear()
    assert TaskRun().of(task) == second
    assert not any("Step 1" in message for message in caplog.messages)


def test_the_newest_image_will_do_while_the_registry_of_its_base_image_is_away(
    engine: Any, ecr: RegistryBackedEcr, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing is built, and the log warns."""
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry") as elsewhere:
        base = f"{elsewhere}/base:1"
        publish(engine, base, "release one")
        task = docker_operator(write_folder(tmp_path / "context", READ, base), "away")
        first = TaskRun().of(task)
        engine.api.pull(base)
    caplog.clear()
    assert TaskRun().of(task) == first
    assert "connection refused" in caplog.text
    remove_images(engine, f"{elsewhere}/")


def test_a_base_image_in_a_private_registry_of_ecr_is_pulled_with_ecrs_token(
    engine: Any, aws: FakeAws, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The login goes with the build and is written nowhere."""
    configuration = tmp_path / "docker"
    configuration.mkdir()
    monkeypatch.setenv("DOCKER_CONFIG", str(configuration))
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry", lock=LOCK) as locked:
        assert ask(locked, "/v2/")[0] == 401
        ecr = RegistryBackedEcr(aws, locked, "token-1")
        digest = publish(engine, f"{locked}/team/base:1", "release one", username="AWS", password="token-1")
        folder = write_folder(tmp_path / "context", READ, f"{OWN}/team/base:1")
        uri = TaskRun().of(docker_operator(folder, "private"))
        remove_images(engine, f"{locked}/")
    assert f"Step 1/3 : FROM {locked}/team/base:1@{digest}" in caplog.messages
    assert "release one" in caplog.messages
    assert uri.startswith(f"{OWN}/private@sha256:")
    assert ecr.tokens == 1
    assert list(configuration.iterdir()) == []
