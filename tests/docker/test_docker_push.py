"""Pushes that meet a real registry's refusals, and two runs that push the same."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from tests.support.docker_registry import registry, remove_images
from tests.support.image_task import docker_operator, write_folder
from tests.support.immutable_registry import ImmutableRegistry, immutable_registry
from tests.support.registry_ecr import RegistryBackedEcr
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_aws import FakeAws

pytestmark = pytest.mark.docker

LOCK = "AWS:$2b$04$PCCJFvkg.9nKXaRWYNMCeeIGmbCTWUhF0Ri0k.leKm9ro4h.c7Tsy"
"""Opens to the password ``token-2``, the second one that ECR gives out."""


@pytest.fixture
def immutable(engine: Any, address: str) -> Iterator[ImmutableRegistry]:
    """The registry, whose tags stay."""
    with immutable_registry(address) as server:
        yield server
        remove_images(engine, f"{server.address}/")


def test_an_expired_token_is_replaced(
    engine: Any, aws: FakeAws, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The registry refuses the first one, and the second attempt goes through."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    (tmp_path / "registry").mkdir()
    with registry(tmp_path / "registry", lock=LOCK) as locked, mock.patch("time.sleep"):
        ecr = RegistryBackedEcr(aws, locked, "token-2")
        uri = TaskRun().of(docker_operator(write_folder(tmp_path / "context", "COPY train /\n"), "expired"))
        remove_images(engine, f"{locked}/")
    assert "@sha256:" in uri
    assert ecr.tokens == 2
    assert "Push 1 of 4 failed" in caplog.text


def test_two_runs_of_one_content_end_with_one_image(
    aws: FakeAws, address: str, immutable: ImmutableRegistry, tmp_path: Path
) -> None:
    """Both find nothing, both build, one push is refused, and both succeed with the digest that ECR holds."""
    ecr = RegistryBackedEcr(aws, immutable.address)
    folder = write_folder(tmp_path, f"RUN echo {tmp_path.name}\nCOPY train /opt/\n")
    both = threading.Barrier(2, timeout=60)
    token = aws.answers["GetAuthorizationToken"]

    def together(**request: Any) -> dict[str, Any]:
        both.wait()
        return token(**request)

    aws.on("GetAuthorizationToken", together)

    def run(run_id: str) -> str:
        return str(TaskRun(run_id=run_id).of(docker_operator(folder, "raced")))

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(run, ("one", "other"))
    [tag] = immutable.refused
    assert first == second
    assert first.endswith(f"@{ecr.digest('raced', tag)}")


def test_a_tag_that_is_taken_meanwhile_is_a_success(
    engine: Any, aws: FakeAws, immutable: ImmutableRegistry, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What ECR holds under the tag is the result, whatever this run has built."""
    caplog.set_level(logging.INFO, logger="sagemaker_byoc")
    ecr = RegistryBackedEcr(aws, immutable.address)
    task = docker_operator(write_folder(tmp_path, "COPY train /\n"), "taken", follow_base_image=False)
    first = TaskRun().of(task)
    remove_images(engine, f"{immutable.address}/taken")
    known, answers = aws.answers["DescribeImages"], iter([False])

    def describe(**request: Any) -> dict[str, Any]:
        # The first look comes before the other run's push.
        return known(**request) if next(answers, True) else known(**{**request, "imageIds": [{"imageTag": "none"}]})

    aws.on("DescribeImages", describe)
    assert TaskRun().of(task) == first
    assert len(immutable.refused) == 1
    assert "is there already, pushed by another run" in caplog.text
    assert ecr.tokens == 2


def test_a_full_disk_is_told(ecr: RegistryBackedEcr, tmp_path: Path) -> None:
    """The program's own words are found, wherever they stand in the log."""
    folder = write_folder(tmp_path, "RUN cat /dev/zero > /dev/shm/full\n")
    with pytest.raises(Exception, match=r"(?s)step 2/2, RUN cat.*disk of the Docker engine is full.*docker system df"):
        TaskRun().of(docker_operator(folder, "full"))
