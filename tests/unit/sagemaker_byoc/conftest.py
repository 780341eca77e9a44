"""AWS for the tests: what reaches it is seen, and what it answers is theirs to say.

And a watch over jobs, endpoints and queues that is in a hurry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sagemaker_byoc.triggers import claim, watcher
from tests.support.fake_aws import FakeAws, fake_aws
from tests.support.fake_build import FakeBuild
from tests.support.fake_logs import FakeLogs

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS that answers nothing yet."""
    with fake_aws() as aws:
        yield aws


@pytest.fixture
def builds(aws: FakeAws) -> FakeBuild:
    """ECR, S3 and CodeBuild without images."""
    return FakeBuild(aws)


@pytest.fixture
def logs(aws: FakeAws) -> FakeLogs:
    """CloudWatch Logs in which nobody has written anything."""
    return FakeLogs(aws)


@pytest.fixture(autouse=True)
def hurried_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the shared watch follow the interval that a test asks for, and call as fast as it likes."""
    monkeypatch.setattr(watcher, "SHORTEST_INTERVAL_SECONDS", 0.0)
    monkeypatch.setattr(claim, "SHORTEST_INTERVAL_SECONDS", 0.0)
    for rate in ("LISTS_PER_SECOND", "LOOKS_PER_SECOND", "NET_LOOKS_PER_SECOND"):
        monkeypatch.setattr(watcher, rate, 1e6)
