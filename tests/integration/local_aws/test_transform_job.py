"""Transform jobs over HTTP with real serving processes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.process_cloud import process_cloud
from tests.support.transforming import TransformAccount

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=3.0) as cloud:
        yield TransformAccount(cloud)


def test_each_object_has_its_answers(account: TransformAccount) -> None:
    """One output object for each input object, at the same path below the output's prefix."""
    job = account.run(account.model("alpha"), {"a.csv": b"echo 1,2\n", "deep/b.csv": b"echo 3,4\n"})

    assert job["TransformJobStatus"] == "Completed"
    assert account.output(job["TransformJobName"]) == {"a.csv.out": b"echo 1,2\n", "deep/b.csv.out": b"echo 3,4\n"}
