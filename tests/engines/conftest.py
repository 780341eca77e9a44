"""Every test of this folder runs against each engine: once on processes, once on Docker.

One local AWS for each engine, since the images' base is pushed once for each; tests use names of their own and do not
meet. ``-m "not docker"`` and ``-m docker`` select the halves.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.support.docker_cloud import STOP_GRACE_SECONDS, docker_cloud, require_docker
from tests.support.hosting import HostingAccount
from tests.support.image_cloud import BuiltCloud, ImageCloud
from tests.support.process_cloud import process_cloud
from tests.support.python_base import python_base
from tests.support.training import BuiltTrainingAccount
from tests.support.transforming import TransformAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

_STARTUP_SECONDS = 6.0
"""Enough for a container on a busy machine; one test waits for all of it."""


@pytest.fixture(scope="session", params=["process", pytest.param("docker", marks=pytest.mark.docker)])
def cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ImageCloud]:
    """A local AWS with the engine of this half."""
    directory = tmp_path_factory.mktemp(request.param)
    if request.param == "process":
        with process_cloud(
            directory, startup_timeout_seconds=_STARTUP_SECONDS, stop_grace_seconds=STOP_GRACE_SECONDS
        ) as processes:
            yield processes
    else:
        require_docker()
        with (
            python_base(f"local-aws-test-{os.getpid()}") as base_image,
            docker_cloud(directory, startup_timeout_seconds=_STARTUP_SECONDS) as containers,
        ):
            yield BuiltCloud.of(containers, base_image)


@pytest.fixture(scope="session")
def account(cloud: ImageCloud) -> BuiltTrainingAccount:
    """An account that trains."""
    return BuiltTrainingAccount(cloud)


@pytest.fixture(scope="session")
def hosting(cloud: ImageCloud) -> HostingAccount:
    """An account that serves."""
    return HostingAccount(cloud)


@pytest.fixture(scope="session")
def transforms(hosting: HostingAccount) -> TransformAccount:
    """Transform jobs of the account that serves."""
    return TransformAccount(hosting)
