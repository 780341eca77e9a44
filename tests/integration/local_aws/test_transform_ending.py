"""What a transform job leaves in S3 when it ends while its output is being uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from local_aws.cloud import Cloud
from local_aws.container import EngineLostError
from local_aws.sagemaker.model import HostedContainer
from local_aws.sagemaker.transform_run import TransformRun
from local_aws.sagemaker.transform_state import TransformState
from tests.support.fake_engine import FakeContainer, FakeEngine
from tests.support.hosting import HostingAccount
from tests.support.process_cloud import ProcessCloud, process_cloud, wait_until
from tests.support.transforming import TransformAccount

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from local_aws.container import Engine, Launch


class _InterruptedS3:
    """S3 in which something happens between the first upload and the second.

    :param s3: boto3 client of the local AWS
    :param interrupt: called then
    """

    def __init__(self, s3: Any, interrupt: Callable[[], None] = lambda: None) -> None:
        self._s3 = s3
        self.interrupt = interrupt
        self.uploaded: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._s3, name)

    def upload_file(self, path: str, bucket: str, key: str) -> None:
        """Upload; before the second upload, let it happen."""
        if self.uploaded:
            self.interrupt()
        self._s3.upload_file(path, bucket, key)
        self.uploaded.append(key)


@dataclass(frozen=True)
class _InterruptedCloud(Cloud):
    """The local AWS as a job sees it, with one such S3."""

    s3: Any = None

    def client(self, service: str, user_agent: str | None = None) -> Any:
        """Return the client of a service."""
        return self.s3 if service == "s3" else super().client(service, user_agent)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProcessCloud]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="module")
def account(cloud: ProcessCloud) -> TransformAccount:
    """Its account."""
    return TransformAccount(HostingAccount(cloud))


def _job(
    account: TransformAccount,
    cloud: ProcessCloud,
    s3: _InterruptedS3,
    second: bytes = b"echo 2",
    *,
    engine: Engine | None = None,
    **environment: str,
) -> tuple[TransformRun, TransformState]:
    """Start a job of two objects whose output goes to this S3."""
    request = account.request("model", {"a": b"echo 1", "b": second})
    seen = _InterruptedCloud(cloud.endpoint_url, cloud.region, cloud.state_dir, s3=s3)
    state = TransformState(request, "arn", lambda _: None)
    container = HostedContainer(account.hosting.image, environment, None)
    run = TransformRun(request, container, state, seen, engine or cloud.engine, startup_timeout_seconds=5.0)
    run.start()
    return run, state


def _end(state: TransformState) -> dict[str, Any]:
    wait_until(lambda: state.is_terminal, "the job has ended")
    return state.describe()


def test_a_stop_takes_back_what_was_uploaded(account: TransformAccount, cloud: ProcessCloud) -> None:
    """A stopped job has no output, however late the stop came."""
    s3 = _InterruptedS3(cloud.client("s3"), lambda: run.stop())
    run, state = _job(account, cloud, s3)

    assert _end(state)["TransformJobStatus"] == "Stopped"
    assert s3.uploaded
    assert account.output(state.name) == {}


def test_a_failing_upload_takes_back_what_was_uploaded(account: TransformAccount, cloud: ProcessCloud) -> None:
    """As documented: if an error occurs, the uploaded results are removed."""

    def fail() -> None:
        raise botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1")

    s3 = _InterruptedS3(cloud.client("s3"), fail)
    _, state = _job(account, cloud, s3)
    job = _end(state)

    assert job["TransformJobStatus"] == "Failed"
    assert job["FailureReason"].startswith("ClientError: Failed to upload to s3://")
    assert s3.uploaded
    assert account.output(state.name) == {}


def test_a_job_that_goes_down_with_the_local_aws_keeps_nothing(account: TransformAccount, cloud: ProcessCloud) -> None:
    """It has no end either, since nobody is left to be told; its container and its files are gone."""
    token = account.hosting.name("token")
    s3 = _InterruptedS3(cloud.client("s3"))
    run, state = _job(account, cloud, s3, f"wait {token}".encode())
    held = account.arrived(token)

    run.close()

    assert state.status == "InProgress"
    assert s3.uploaded == []
    assert not held.parent.exists()
    assert not (cloud.state_dir / "transform-data" / state.name).exists()


def test_a_job_that_is_being_stopped_does_not_hold_up_the_local_aws(
    account: TransformAccount, cloud: ProcessCloud
) -> None:
    """A container that does not heed SIGTERM has half a minute when its job is stopped, and not when all goes down."""
    token = account.hosting.name("token")
    run, state = _job(account, cloud, _InterruptedS3(cloud.client("s3")), f"wait {token}".encode(), MODE="stubborn")
    held = account.arrived(token)
    run.stop()
    wait_until(lambda: "told to end" in account.lines(state.name), "the stop has reached the container")

    run.close()

    assert not held.parent.exists()
    assert state.status == "Stopping"


class _LostEngine(FakeEngine):
    """An engine that is gone when a container is to be started."""

    def start(self, launch: Launch) -> FakeContainer:
        """Say so."""
        message = f"no engine for {launch.name}"
        raise EngineLostError(message)


def test_an_engine_that_is_gone_is_no_fault_of_the_model(
    account: TransformAccount, cloud: ProcessCloud, tmp_path: Path
) -> None:
    """AWS's words for what is worth another try, as for training jobs."""
    engine = _LostEngine(tmp_path)
    engine.programs[account.hosting.image] = ""

    _, state = _job(account, cloud, _InterruptedS3(cloud.client("s3")), engine=engine)

    job = _end(state)
    assert job["FailureReason"].startswith(
        "InternalServerError: We encountered an internal error. Please try again. (no"
    )
