"""One image for all models that the tests of this folder deploy by the DAGs of ``deploy_probe.py``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.endpoint_probe import Models
from tests.e2e.probe import Run

if TYPE_CHECKING:
    from local_stack.stack import Stack


@pytest.fixture(scope="session")
def models(stack: Stack) -> Models:
    """Return what makes models of the probes' image."""
    run = Run.start(stack, "train_probe")
    run.wait_for_task("build_push_image", "success")
    return Models(stack, str(run.xcom("build_push_image")))
