"""One stack for all tests that talk to Airflow; they use runs of their own and do not meet."""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from local_stack.home import CHECKOUT, Home
from local_stack.phase import Phases
from local_stack.stack import Stack, running_stack

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

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
    with probe_stack("tests") as running:
        yield running


@pytest.fixture(scope="module")
def killable() -> Iterator[Stack]:
    """Return a stack whose parts notice in seconds that another one is gone, and that has room for waits on workers."""
    settings = {
        "CORE__PARALLELISM": "24",
        "WORKERS__MIN_HEARTBEAT_INTERVAL": "2",
        "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
        "TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "12",
        "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "15",
        "SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "2",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
        "SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "2",
        "SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "2",
    }
    with probe_stack("tests-kill", settings) as running:
        yield running


@contextmanager
def probe_stack(home: str, settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Start a stack in a home of its own that also knows the tests' DAGs.

    :param settings: further settings of Airflow, as ``SECTION__KEY``
    """
    folders = {"project": CHECKOUT / "dags", "probes": CHECKOUT / "tests" / "e2e" / "dags"}
    bundles = [{"name": name, "classpath": BUNDLE, "kwargs": {"path": str(path)}} for name, path in folders.items()]
    ours = {"DAG_PROCESSOR__DAG_BUNDLE_CONFIG_LIST": json.dumps(bundles), **(settings or {})}
    # the image environments of the checkout are reused, everything else is this stack's own
    with running_stack(Home(CHECKOUT / ".local" / home), Phases(), settings=ours) as running:
        yield running
