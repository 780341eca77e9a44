"""One local AWS with the Docker engine for the tests of this folder; they use names of their own and do not meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.docker_cloud import DockerCloud, docker_cloud, require_docker
from tests.support.iris_account import IrisAccount

if TYPE_CHECKING:
    from collections.abc import Iterator


BUILD_SECONDS = 900
"""How long a test may take that is the first to need an image: packages are installed and pushed meanwhile."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder."""
    for item in items:
        if "tests/docker" in item.path.as_posix():
            item.add_marker(pytest.mark.docker)
            if "image" in getattr(item, "fixturenames", ()):
                item.add_marker(pytest.mark.timeout(BUILD_SECONDS))


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerCloud]:
    """Return a running local AWS, or skip the test."""
    require_docker()
    with docker_cloud(tmp_path_factory.mktemp("docker")) as running:
        yield running


@pytest.fixture(scope="session")
def account(cloud: DockerCloud) -> IrisAccount:
    """Return the sample data on the local AWS."""
    return IrisAccount(cloud)
