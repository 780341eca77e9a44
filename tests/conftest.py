"""How the tests are spread over processes that run at once.

A file is the smallest unit, since its tests share what they start. Folders whose files share something for the whole
session are one unit each: two local AWS in one process would share moto's memory, and two processes would build the
same images twice.
"""

from __future__ import annotations

from pathlib import Path

import pytest

TESTS = Path(__file__).parent
TOGETHER = ("docker/container", "docker", "engines")
"""Folders that stay together, the inner ones first."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Name the unit that each test belongs to, before pytest-xdist, where there is one, asks for it."""
    if not config.pluginmanager.hasplugin("xdist"):
        return
    for item in items:
        path = item.path.relative_to(TESTS).as_posix()
        unit = next((folder for folder in TOGETHER if path.startswith(f"{folder}/")), path)
        item.add_marker(pytest.mark.xdist_group(unit))
