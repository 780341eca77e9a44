"""Where the local AWS is, as its own services see it.

Owns the address, the account and the clients with which one service reaches another: over HTTP, like
any user. Must not know what any service does.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import boto3
import botocore.config
import botocore.session

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ACCESS_KEY", "ACCOUNT", "SECRET_KEY", "Cloud"]

ACCOUNT = "123456789012"
"""Account number that moto gives to whoever calls with unknown keys."""

ACCESS_KEY = "local"
SECRET_KEY = "local"  # noqa: S105 - any value is accepted; it must only not be a real one


@dataclass(frozen=True)
class Cloud:
    """The local AWS: one address, one region, one account.

    :param endpoint_url: for example ``http://127.0.0.1:4566``
    :param region: region of every resource
    :param state_dir: directory of this machine below which services keep their files
    :param account: twelve digits
    :param container_endpoint_url: the address as containers reach it; None when it is the same
    """

    endpoint_url: str
    region: str
    state_dir: Path
    account: str = ACCOUNT
    container_endpoint_url: str | None = None
    _session: Any = field(default_factory=lambda: _isolated_session(), init=False, repr=False, compare=False)
    _clients: dict[tuple[str, str | None], Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def client(self, service: str, user_agent: str | None = None) -> Any:
        """Return the boto3 client of a service, made once: clients are safe to share between threads.

        :param user_agent: what its requests say besides boto3's own words
        """
        key = service, user_agent
        with self._lock:
            if key not in self._clients:
                self._clients[key] = self._make_client(service, user_agent)
            return self._clients[key]

    @property
    def ecr_host(self) -> str:
        """Return the host that stands before the repository in an image's URI."""
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com"

    def arn(self, service: str, resource: str) -> str:
        """Return the ARN of a resource, for example ``resource`` ``training-job/churn`` of ``sagemaker``."""
        partition = self._session.get_partition_for_region(self.region)
        return f"arn:{partition}:{service}:{self.region}:{self.account}:{resource}"

    def credentials(self) -> dict[str, str]:
        """Return the environment variables with which a boto3 client in a container reaches this AWS."""
        return {
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": self.container_endpoint_url or self.endpoint_url,
        }

    def _make_client(self, service: str, user_agent: str | None) -> Any:
        config = botocore.config.Config(
            # An empty mapping, unlike None, keeps botocore from reading HTTPS_PROXY.
            proxies={},
            retries={"mode": "standard", "total_max_attempts": 3},
            connect_timeout=5,
            read_timeout=60,
            max_pool_connections=50,
            s3={"addressing_style": "path"},
            user_agent_extra=user_agent,
        )
        return self._session.client(
            service,
            region_name=self.region,
            endpoint_url=self.endpoint_url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=config,
        )


def _isolated_session() -> Any:
    """Make a session that reads no profile and no file of the user who started the local AWS."""
    # A variable without a name in the environment: otherwise AWS_PROFILE would ask for a profile that no file here has.
    core = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
    for variable in ("config_file", "credentials_file"):
        core.set_config_variable(variable, os.devnull)
    return boto3.Session(botocore_session=core)
