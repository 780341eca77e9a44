"""Builds a whole local AWS out of its parts, starts it and takes it down again.

Owns the order in which things start and stop. Must not know requests or command lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from local_aws.cloud import Cloud
from local_aws.gateway import Gateway
from local_aws.moto_app import make_moto_app
from local_aws.sagemaker.service import SageMakerService
from local_aws.server import HttpServer

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from local_aws.container import Engine

__all__ = ["LocalAws"]


class LocalAws:
    """A local AWS that answers from ``start`` to ``stop``; also a context manager.

    :param engine: what runs the containers
    :param state_dir: where services keep their files; made when it is missing
    :param port: TCP port on loopback; 0 takes a free one
    :param region: region of every resource
    :param stop_grace_seconds: time between SIGTERM and SIGKILL for a training container; AWS's is 120
    :raises OSError: when the port is taken
    """

    def __init__(
        self,
        engine: Engine,
        state_dir: Path,
        *,
        port: int = 0,
        region: str = "us-east-1",
        stop_grace_seconds: float = 120.0,
    ) -> None:
        self._server = HttpServer(port=port)
        state_dir.mkdir(parents=True, exist_ok=True)
        self._engine = engine
        self.cloud = Cloud(self._server.endpoint_url, region, state_dir.resolve())
        self._sagemaker = SageMakerService(self.cloud, engine, stop_grace_seconds=stop_grace_seconds)
        self._gateway = Gateway(make_moto_app(), {"engine": engine.name, "region": region})
        self._gateway.register(self._sagemaker)

    def start(self) -> None:
        """End what an earlier life left running, then begin to answer."""
        self._engine.reap()
        self._server.start(self._gateway)

    def stop(self) -> None:
        """End every container, then stop answering: containers that end may still write logs and artifacts."""
        self._sagemaker.close()
        self._server.stop()

    def __enter__(self) -> LocalAws:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
