"""How the tests are spread over processes that run at once.

A file is the smallest unit, since its tests share what they start. A folder whose files share a local AWS for the whole
session is one unit: a second local AWS in the same process would share moto's memory. Tests that need a Docker engine
are not spread: they share the engine's images and its cache.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TOGETHER = "engines"
"""The folder that stays together."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name the unit that each test belongs to, before pytest-xdist, where there is one, asks for it."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        path = item.path.relative_to(TESTS).as_posix()
        item.add_marker(pytest.mark.xdist_group(TOGETHER if path.startswith(f"{TOGETHER}/") else path))
