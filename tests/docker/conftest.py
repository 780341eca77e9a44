"""What the tests of this folder share: one local AWS with the Docker engine, one registry, one base image.

They use names of their own and do not meet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import docker
import pytest

from tests.support.docker_cloud import DockerCloud, docker_cloud
from tests.support.docker_registry import busybox_root, registry, remove_images, remove_with_descendants, require_docker
from tests.support.fake_aws import FakeAws, fake_aws
from tests.support.image_task import BASE
from tests.support.registry_ecr import RegistryBackedEcr

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
    options = ["--build-arg", "OF_MACHINE=of the machine", "--build-arg", "OF_BOTH=machine"]
    with docker_cloud(tmp_path_factory.mktemp("docker"), build_options=options) as running:
        yield running


@pytest.fixture(scope="session")
def engine() -> Iterator[Any]:
    """The engine, with a base image that holds a shell, which is removed at the end."""
    require_docker()
    client = docker.from_env()
    client.api.import_image_from_data(busybox_root(), *BASE.split(":"))
    yield client
    remove_with_descendants(client, BASE)
    client.close()


@pytest.fixture(scope="session")
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
