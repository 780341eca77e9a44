"""One local AWS with the Docker engine for the tests of this folder; they use names of their own and do not meet."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.docker_cloud import DockerCloud, docker_cloud, require_docker

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder."""
    for item in items:
        if "tests/docker" in item.path.as_posix():
            item.add_marker(pytest.mark.docker)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerCloud]:
    """Return a running local AWS, or skip the test."""
    require_docker()
    options = ["--build-arg", "OF_MACHINE=of the machine", "--build-arg", "OF_BOTH=machine"]
    with docker_cloud(tmp_path_factory.mktemp("docker"), build_options=options) as running:
        yield running
