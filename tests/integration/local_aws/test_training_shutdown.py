"""What a training job leaves behind when the local AWS goes down under it."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from local_aws.cloud import Cloud
from local_aws.sagemaker.training_run import TrainingRun
from local_aws.sagemaker.training_state import TrainingState
from tests.support.fake_engine import FakeEngine
from tests.support.local_cloud import local_cloud
from tests.support.training import BUCKET, TrainingAccount, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import Any


class _BusyEngine(FakeEngine):
    """An engine that keeps a job waiting before its download until it is told."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.asked = threading.Event()
        self.answer = threading.Event()

    @property
    def network_interface(self) -> str:  # type: ignore[override]  # the protocol's form, the fake's is an attribute
        """Return it when the test says so."""
        self.asked.set()
        self.answer.wait(20)
        return "lo"


@pytest.fixture
def engine(tmp_path: Path) -> _BusyEngine:
    """One engine for the account and for the run that a test closes."""
    return _BusyEngine(tmp_path)


@pytest.fixture
def account(tmp_path: Path, engine: _BusyEngine) -> Iterator[TrainingAccount]:
    """A local AWS that outlives the run, so that a test can look what is in S3."""
    with local_cloud(tmp_path, engine=engine) as cloud:
        yield TrainingAccount(cloud)


def _run(account: TrainingAccount, engine: _BusyEngine, request: dict[str, Any]) -> TrainingRun:
    cloud = Cloud(account.cloud.endpoint_url, account.cloud.region, account.cloud.state_dir)
    state = TrainingState(request, "arn", "s3://b/m", lambda _: None)
    run = TrainingRun(request, state, cloud, engine, stop_grace_seconds=5.0)
    run.start()
    return run


def test_a_job_that_downloads_ends_at_once_and_starts_no_container(
    account: TrainingAccount, engine: _BusyEngine
) -> None:
    """Nothing waits for a container that is not there, and the job's files go."""
    request = account.request("time.sleep(600)", InputDataConfig=[account.channel("train", "data/train")])
    run = _run(account, engine, request)
    assert engine.asked.wait(20)

    began = time.monotonic()
    engine.answer.set()
    run.close()

    assert time.monotonic() - began < 4
    assert list((account.cloud.state_dir / "training").iterdir()) == []


def test_checkpoints_outlive_the_local_directory(account: TrainingAccount, engine: _BusyEngine) -> None:
    """The removal of the job's files is not taken for the program's own wish to delete its checkpoints."""
    engine.answer.set()
    request = account.request(
        "(base / 'checkpoints/epoch-1').write_text('1')\ntime.sleep(600)",
        CheckpointConfig={"S3Uri": f"s3://{BUCKET}/kept"},
    )
    run = _run(account, engine, request)
    wait_for(lambda: account.keys("kept/"))

    run.close()

    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("checkpoints ")] == []
    assert account.keys("kept/") == ["kept/epoch-1"]
    assert list((account.cloud.state_dir / "training").iterdir()) == []
