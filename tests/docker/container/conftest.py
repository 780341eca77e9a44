"""The project's image, built and pushed once by the provider's operator."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_stack.home import CHECKOUT
from tests.support.docker_operators import build_and_push, operators_reach

if TYPE_CHECKING:
    from tests.support.docker_cloud import DockerCloud


@pytest.fixture(scope="session")
def image(cloud: DockerCloud) -> str:
    """The URI of ``container/``'s image, by digest."""
    with operators_reach(cloud):
        return build_and_push(CHECKOUT / "container", "project-container")
