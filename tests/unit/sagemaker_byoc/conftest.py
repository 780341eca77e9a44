"""AWS for the tests of image builds: what reaches it is seen, and what it answers is theirs to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.fake_aws import FakeAws, fake_aws
from tests.support.fake_build import FakeBuild

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS in which nobody has built anything."""
    with fake_aws() as aws:
        yield aws


@pytest.fixture
def builds(aws: FakeAws) -> FakeBuild:
    """ECR, S3 and CodeBuild without images."""
    return FakeBuild(aws)
