"""What the tests of deployments share: a local AWS on which containers really serve, one for each module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.classifier_account import ClassifierAccount
from tests.support.operator_cloud import operator_cloud
from tests.support.served_endpoint import Served, served_endpoint

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClassifierAccount]:
    """One local AWS for the tests of a module, which operators reach."""
    with operator_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield ClassifierAccount(cloud)


@pytest.fixture
def served(account: ClassifierAccount) -> Served:
    """An endpoint of its own for each test."""
    return served_endpoint(account)
