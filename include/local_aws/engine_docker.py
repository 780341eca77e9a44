"""Runs containers on a Docker engine, as SageMaker does: ``docker run IMAGE train``.

Owns the way from an image in ECR to a started container. Imports the ``docker`` package, so it is imported only where
this engine is wanted. Must not know requests.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import secrets
from typing import TYPE_CHECKING, Any

import docker
from docker.errors import APIError, ImageNotFound

from local_aws.container import Container, ContainerError, EngineLostError, Launch, cannot_start
from local_aws.docker_engine.container import ENGINE_ERRORS, DockerContainer, close_stream, remove_container
from local_aws.docker_engine.file_owner import give_files
from local_aws.docker_engine.launch import (
    SERVING_PORT,
    container_request,
    host_request,
    is_server,
    missing_program,
)
from local_aws.docker_engine.leftover import LABEL, Watchdog, label_of, remove_leftovers
from local_aws.docker_engine.network import Networks
from local_aws.docker_engine.own_container import find_own_container
from local_aws.image_lookup import look_up
from local_aws.port import Ports
from local_aws.reach import LOOPBACK

if TYPE_CHECKING:
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.docker_engine.own_container import OwnContainer
    from local_aws.image_reference import ImageReference

__all__ = ["DEFAULT_ENGINE", "DockerEngine", "own_container", "silence"]

DEFAULT_ENGINE = "unix:///var/run/docker.sock"
_PROBE_SECONDS = 5

_logger = logging.getLogger(__name__)


def silence() -> str | None:
    """Return why the engine that ``DOCKER_HOST`` or the default socket names cannot be used; None when it answers."""
    try:
        client = docker.from_env(timeout=_PROBE_SECONDS)
        try:
            client.ping()
        finally:
            client.close()
    except ENGINE_ERRORS as error:
        return _reason_of_silence(os.environ.get("DOCKER_HOST") or DEFAULT_ENGINE, error)
    return None


class DockerEngine:
    """The engine that runs images for real.

    :param cloud: where ECR is, which says what images there are
    :param registry: ``host:port`` of the registry that has the images' content, ECR's data plane
    :param owner: user and group to which files in ``/opt/ml`` go when a container has ended; None when whoever runs
        the local AWS may read and remove root's files anyway
    :param memory_bytes: what each container may use before the kernel kills it; None for all of the machine's
    :param own: the container in which the local AWS runs; None when the engine sees the same files as it does
    :raises docker.errors.DockerException: when no engine answers
    :raises OwnContainerError: when our own container has no volume for the state directory

    ``label`` is the value by which its containers and networks are found in the engine.
    """

    name = "docker"
    network_interface = "eth0"

    def __init__(
        self,
        cloud: Cloud,
        registry: str,
        *,
        owner: tuple[int, int] | None = None,
        memory_bytes: int | None = None,
        own: OwnContainer | None = None,
    ) -> None:
        self._cloud = cloud
        self._registry = registry
        self._owner = owner
        self._memory_bytes = memory_bytes
        self._api = docker.from_env().api
        self._api.ping()
        self._own = own
        # The engine's path of the directory: many a container has the same path inside.
        self.label = label_of(self._engine_path(cloud.state_dir))
        self._labels = {LABEL: self.label}
        self._networks = Networks(self._api, f"{LABEL}-{self.label}", self._labels)
        # Docker tells the port it chose only while the container runs, so the port is chosen here.
        self._ports = Ports()
        self._watchdog: Watchdog | None = None

    def resolve(self, image: str) -> str:
        """Return the image URI pinned by digest, as ECR knows it now.

        :raises ContainerError: when it is in another registry or ECR has no such image
        """
        return look_up(self._cloud, image).pinned

    def start(self, launch: Launch) -> Container:
        """Pull the image unless the engine has it, and start a container.

        :raises ContainerError: when there is no such image or it has no such program
        """
        image = self._pull(look_up(self._cloud, launch.image), launch)
        launch = dataclasses.replace(launch, ml_dir=self._engine_path(launch.ml_dir))
        port = self._ports.free() if is_server(launch) and self._own is None else None
        try:
            container_id, output, address = self._run(launch, image, port)
        except ENGINE_ERRORS as error:
            raise _refusal(launch, error, missing_program(_explanation(error))) from error

        def take_over_files() -> None:
            if self._owner is not None:
                give_files(self._api, image, str(launch.ml_dir), self._owner, self._labels)

        def leave() -> None:
            if launch.network is not None:
                self._networks.leave(launch.network)

        return DockerContainer(self._api, container_id, output, address, take_over_files, leave)

    def reap(self) -> None:
        """Remove what an earlier life of this state directory left, and watch over what this one will leave."""
        remove_leftovers(self._api, self.label)
        self._watchdog = self._watchdog or Watchdog(self.label)

    def _pull(self, reference: ImageReference, launch: Launch) -> str:
        repository = f"{self._registry}/{reference.repository}"
        local = f"{repository}@{reference.digest}"
        try:
            self._api.inspect_image(local)
        except ImageNotFound:
            self._download(repository, str(reference.digest), launch)
        except ENGINE_ERRORS as error:
            raise _refusal(launch, error, _explanation(error)) from error
        return local

    def _download(self, repository: str, digest: str, launch: Launch) -> None:
        message = f"the registry {self._registry} does not give the image that ECR knows"
        try:
            for step in self._api.pull(repository, tag=digest, stream=True, decode=True):
                if "error" in step:
                    raise cannot_start(launch, f"{message}: {step['error']}")
        except ENGINE_ERRORS as error:
            raise _refusal(launch, error, f"{message}: {_explanation(error)}") from error

    def _run(self, launch: Launch, image: str, port: int | None) -> tuple[str, Any, tuple[str, int] | None]:
        """Create and start a container; return its id, output and address. What does not start is removed."""
        network = None
        if launch.network is not None:
            network = self._networks.join(launch.network, is_isolated=launch.is_isolated)
        container_id: str = ""
        try:
            container_id = self._create(launch, image, port, network)
            if self._own is not None and network is not None and not launch.is_isolated:
                # Before the start: the program finds both, and other hosts by either, whichever is its eth0.
                self._api.connect_container_to_network(container_id, self._own.network)
            output = self._api.attach(container_id, stream=True, demux=True)
            try:
                self._api.start(container_id)
                address = self._address(launch, container_id, port)
            except ENGINE_ERRORS:
                close_stream(output)
                raise
        except ENGINE_ERRORS:
            if container_id:
                remove_container(self._api, container_id)
            if launch.network is not None:
                self._networks.leave(launch.network)
            raise
        return container_id, output, address

    def _create(self, launch: Launch, image: str, port: int | None, network: str | None) -> str:
        request = container_request(launch, image, self._labels)
        if self._own is not None:
            # Docker makes the host name an alias on every network; on ours, jobs would meet each other's algo-1.
            del request["hostname"]
        created = self._api.create_container(
            **request,
            name=f"{LABEL}-{self.label}-{launch.name}-{secrets.token_hex(3)}",
            host_config=self._host_config(launch, port, network),
            networking_config=self._networking_config(launch, network),
        )
        return str(created["Id"])

    def _host_config(self, launch: Launch, port: int | None, network: str | None) -> Any:
        return self._api.create_host_config(
            **host_request(launch, port, self._memory_bytes), network_mode=network or self._lone_network()
        )

    def _lone_network(self) -> str:
        """Return the network of a container that shares none with others."""
        return self._own.network if self._own is not None else "bridge"

    def _address(self, launch: Launch, container_id: str, port: int | None) -> tuple[str, int] | None:
        """Return where a started container serves, if it does."""
        if port is not None:
            return LOOPBACK, port
        if self._own is None or not is_server(launch):
            return None
        networks = self._api.inspect_container(container_id)["NetworkSettings"]["Networks"].values()
        ours = (network["IPAddress"] for network in networks if network["NetworkID"] == self._own.network)
        return next(ours, ""), SERVING_PORT

    def _engine_path(self, path: Path) -> Path:
        return self._own.engine_path(path) if self._own is not None else path

    def _networking_config(self, launch: Launch, network: str | None) -> Any:
        if network is None:
            return None
        endpoint = self._api.create_endpoint_config(aliases=[launch.host])
        return self._api.create_networking_config({network: endpoint})


def own_container() -> OwnContainer | None:
    """Return the container in which this process runs beside those that it is to start, if it runs in one.

    :raises OwnContainerError: when no other container can be started from it
    """
    return find_own_container(docker.from_env().api)


def _reason_of_silence(address: str, error: BaseException) -> str:
    causes = [str(error)]
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__  # type: ignore[assignment]
        causes.append(str(error))
    if any("Permission denied" in cause for cause in causes):
        return (
            f"the Docker engine at {address} does not let this user in (permission denied); become a member of the "
            "group that its socket belongs to, usually docker, and log in again"
        )
    return f"no Docker engine answers at {address}"


def _refusal(launch: Launch, error: BaseException, reason: str) -> ContainerError:
    """Return what a failed call means: what the engine refuses is the container's fault, that it is gone is not."""
    if isinstance(error, APIError):
        return cannot_start(launch, reason)
    message = f"the Docker engine does not answer any more: {reason}"
    return EngineLostError(message)


def _explanation(error: BaseException) -> str:
    """Return what the engine said."""
    return str(getattr(error, "explanation", None) or error)
