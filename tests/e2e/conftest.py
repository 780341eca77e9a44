"""One stack for all tests that talk to Airflow; they use runs of their own and do not meet."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from local_stack.home import CHECKOUT, Home
from local_stack.phase import Phases
from local_stack.stack import Stack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator

BUNDLE = "airflow.dag_processing.bundles.local.LocalDagBundle"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all of this folder, and give real programs the time they take."""
    for item in items:
        if "tests/e2e" in item.path.as_posix():
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Return a running stack that knows the project's DAGs and the tests' own."""
    folders = {"project": CHECKOUT / "dags", "probes": CHECKOUT / "tests" / "e2e" / "dags"}
    bundles = [{"name": name, "classpath": BUNDLE, "kwargs": {"path": str(path)}} for name, path in folders.items()]
    settings = {"DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles)}
    # the image environments of the checkout are reused, everything else is this session's own
    with running_stack(Home(CHECKOUT / ".local" / "tests"), Phases(), settings=settings) as running:
        yield running
