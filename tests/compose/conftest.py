"""One stack for the tests of this folder, each of which brings it up as it needs it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.compose_stack import ComposeStack, require_compose

if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 1200


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder; the first test also builds the images."""
    for item in items:
        if "tests/compose" in item.path.as_posix():
            item.add_marker(pytest.mark.compose)
            item.add_marker(pytest.mark.timeout(_SECONDS))


@pytest.fixture(scope="session")
def stack() -> Iterator[ComposeStack]:
    """Return a stack whose images are made, or skip the test."""
    require_compose()
    made = ComposeStack()
    try:
        made.build()
        yield made
    finally:
        made.remove()
