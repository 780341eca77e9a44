"""A local AWS as patient as programs with real libraries need it, and the project's image, built and pushed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_stack.home import CHECKOUT
from tests.support.docker_cloud import DockerCloud, docker_cloud, require_docker
from tests.support.docker_operators import build_and_push
from tests.support.iris_account import IrisAccount
from tests.support.operator_cloud import operators_reach

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerCloud]:
    """Return a running local AWS whose containers have time to start and to save, or skip the test."""
    require_docker()
    directory = tmp_path_factory.mktemp("container")
    with docker_cloud(directory, stop_grace_seconds=20.0, startup_timeout_seconds=90.0) as running:
        yield running


@pytest.fixture(scope="session")
def account(cloud: DockerCloud) -> IrisAccount:
    """Return the sample data on the local AWS."""
    return IrisAccount(cloud)


@pytest.fixture(scope="session")
def image(cloud: DockerCloud) -> str:
    """The URI of ``container/``'s image, by digest."""
    with operators_reach(cloud):
        return build_and_push(CHECKOUT / "container", "project-container")
