"""Builds a whole local AWS out of its parts, starts it and takes it down again.

Owns the order in which things start and stop. Must not know requests or command lines.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_aws.cloud import Cloud
from local_aws.gateway import Gateway
from local_aws.log_filter import LogFilter
from local_aws.moto_app import make_moto_app
from local_aws.price_list import PriceListService
from local_aws.reach import LOOPBACK
from local_aws.runtime.service import RuntimeService
from local_aws.sagemaker.fleet_maker import DEFAULT_STARTUP_SECONDS
from local_aws.sagemaker.service import SageMakerService
from local_aws.server import HttpServer
from local_aws.state_lock import StateLock

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

    from local_aws.container import Engine
    from local_aws.gateway import WsgiApp
    from local_aws.service import Service

__all__ = ["Backing", "LocalAws"]

_CLIENTS_OF_FIRST_JOB = ("iam", "s3", "ecr", "events", "logs", "cloudwatch")


@dataclass(frozen=True)
class Backing:
    """What runs containers, and the services that can exist only with it.

    :param services: further services, for example the one that builds this engine's images
    :param front: puts an application before moto's, for example one that knows the engine's registry
    """

    engine: Engine
    services: Sequence[Service] = ()
    front: Callable[[WsgiApp], WsgiApp] | None = None


class LocalAws:
    """A local AWS that answers from ``start`` to ``stop``; also a context manager.

    :param make_backing: gets the cloud, whose address is known by then
    :param state_dir: where services keep their files; made when it is missing
    :param port: TCP port; 0 takes a free one
    :param listen: address to listen on; other than loopback only inside a container
    :param host_names: to which it answers besides this machine's own; containers reach it by the first
    :param region: region of every resource
    :param stop_grace_seconds: time between SIGTERM and SIGKILL for a training container; AWS's is 120
    :param startup_timeout_seconds: time for a serving container to become healthy, for variants that do not set it
    :raises OSError: when the port is taken, or the state directory by another local AWS
    :raises ValueError: when other machines may reach ``listen``
    """

    def __init__(
        self,
        make_backing: Callable[[Cloud], Backing],
        state_dir: Path,
        *,
        port: int = 0,
        listen: str = LOOPBACK,
        host_names: Sequence[str] = (),
        region: str = "us-east-1",
        stop_grace_seconds: float = 120.0,
        startup_timeout_seconds: float = DEFAULT_STARTUP_SECONDS,
    ) -> None:
        self._lock = StateLock(state_dir)
        try:
            self._server = HttpServer(port=port, host=listen)
        except (OSError, ValueError):
            self._lock.release()
            raise
        container_url = f"http://{host_names[0]}:{self._server.port}" if host_names else None
        self.cloud = Cloud(self._server.endpoint_url, region, state_dir.resolve(), container_endpoint_url=container_url)
        backing = make_backing(self.cloud)
        self._engine = backing.engine
        sagemaker = SageMakerService(
            self.cloud,
            self._engine,
            stop_grace_seconds=stop_grace_seconds,
            startup_timeout_seconds=startup_timeout_seconds,
        )
        moto = LogFilter(make_moto_app())
        fallback = backing.front(moto) if backing.front else moto
        facts = {"engine": self._engine.name, "region": region}
        self._gateway = Gateway(fallback, facts, frozenset(host_names))
        runtime, prices = RuntimeService(sagemaker.endpoints), PriceListService()
        self._services: list[Service] = [sagemaker, runtime, prices, *backing.services]
        for service in self._services:
            self._gateway.register(service)

    @property
    def engine_name(self) -> str:
        """What runs containers: ``docker`` or ``process``."""
        return self._engine.name

    def start(self) -> None:
        """End what an earlier life left running, then begin to answer."""
        self._engine.reap()
        for service in self._services:
            service.start()
        self._server.start(self._gateway)
        threading.Thread(target=self._warm_up, name="local-aws-warm-up", daemon=True).start()

    def stop(self) -> None:
        """End every container, then stop answering: a container that ends may still write its log."""
        for service in self._services:
            service.close()
        self._server.stop()
        self._lock.release()

    def __enter__(self) -> LocalAws:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _warm_up(self) -> None:
        """Make the clients that the first job needs, each of which takes a tenth of a second, before it comes."""
        for service in _CLIENTS_OF_FIRST_JOB:
            self.cloud.client(service)
