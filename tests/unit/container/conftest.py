"""Fixtures of the container's tests."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.container.opt_ml import OptMl


@pytest.fixture
def opt_ml(tmp_path: Path) -> Iterator[OptMl]:
    """Give one host's ``/opt/ml``, and take back the SIGTERM handler that ``train`` installs."""
    before = signal.getsignal(signal.SIGTERM)
    yield OptMl(tmp_path / "opt_ml")
    signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def iris_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Give the folder of a model trained on the smallest Iris partition."""
    before = signal.getsignal(signal.SIGTERM)
    folder = OptMl(tmp_path_factory.mktemp("iris") / "opt_ml").iris()
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert folder.train_here(monkeypatch) == 0
    signal.signal(signal.SIGTERM, before)
    return folder.model
