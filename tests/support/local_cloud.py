"""Starts a local AWS inside the test process and gives clients that reach nothing else."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config

from local_aws.assembly import Backing, LocalAws
from tests.support.fake_engine import FakeEngine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.service import Service

__all__ = ["LocalCloud", "local_cloud"]


@dataclass
class LocalCloud:
    """A running local AWS as a test sees it.

    :param endpoint_url: its address
    :param engine: the engine behind it
    :param state_dir: where it keeps its files
    """

    endpoint_url: str
    region: str
    engine: Engine
    state_dir: Path

    @property
    def session(self) -> boto3.Session:
        """A boto3 session with dummy keys; all tests share one, since each would read the service models again."""
        return _session(self.region)

    def client(self, service: str) -> Any:
        """Return a client that talks to this local AWS, without retries and without any proxy."""
        config = botocore.config.Config(proxies={}, retries={"total_max_attempts": 1, "mode": "standard"})
        return self.session.client(service, endpoint_url=self.endpoint_url, config=config)


@lru_cache
def _session(region: str) -> boto3.Session:
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name=region)


@contextmanager
def local_cloud(
    directory: Path,
    *,
    engine: Engine | None = None,
    programs: Mapping[str, str] | None = None,
    services: Callable[[Cloud], Sequence[Service]] = lambda _: (),
    stop_grace_seconds: float = 5.0,
) -> Iterator[LocalCloud]:
    """Run a local AWS on a free port until the block ends.

    :param directory: an empty directory for its state and for the fake engine's programs
    :param engine: the engine to use; otherwise a fake one that runs ``programs``
    :param services: makes further services
    """
    directory.mkdir(parents=True, exist_ok=True)
    chosen = engine if engine is not None else FakeEngine(directory, dict(programs or {}))
    aws = LocalAws(
        lambda cloud: Backing(chosen, services(cloud)), directory / "state", stop_grace_seconds=stop_grace_seconds
    )
    with aws:
        yield LocalCloud(aws.cloud.endpoint_url, aws.cloud.region, chosen, aws.cloud.state_dir)
