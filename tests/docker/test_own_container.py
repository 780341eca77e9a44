"""What the Docker engine does when the local AWS runs in a container beside those that it starts.

The local AWS is a process of this machine here, which reaches every network of the engine's; only where it says to be
differs. The whole, with the local AWS really in a container, is in ``tests/compose``.
"""

from __future__ import annotations

import ipaddress
import secrets
from typing import TYPE_CHECKING, Any

import docker
import pytest
import urllib3

from local_aws.container import Launch
from tests.support.docker_cloud import DockerCloud, docker_cloud, require_docker
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.container import Container

_SERVE = "#!/bin/sh\ntrap 'exit 0' TERM\nnc -ll -p 8080 -e answer & wait\n"
_ANSWER = (
    "#!/bin/sh\nread -r line\nprintf 'HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\nConnection: close\\r\\n\\r\\n'\n"
)
_TRAIN = "#!/bin/sh\ntrap 'exit 0' TERM\nhostname\nsleep 60 & wait\n"


@pytest.fixture(scope="module")
def network() -> Iterator[str]:
    """Return the engine's id of a network as Compose would have made it."""
    require_docker()
    client = docker.from_env()
    made = client.networks.create(f"own-container-{secrets.token_hex(3)}", driver="bridge")
    try:
        yield str(made.id)
    finally:
        made.remove()
        client.close()


@pytest.fixture(scope="module")
def cloud(network: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DockerCloud]:
    """Return a local AWS that says to be on that network."""
    with docker_cloud(tmp_path_factory.mktemp("own"), network=network) as running:
        yield running


def test_a_server_is_reached_on_the_common_network(cloud: DockerCloud, network: str) -> None:
    """It publishes no port: loopback of the engine's machine is not the local AWS's."""
    image = cloud.push("served-beside", {"serve": _SERVE, "answer": _ANSWER})
    container = cloud.engine.start(_launch(cloud, image, "serve"))
    try:
        host, port = container.address
        (description,) = _descriptions(cloud, "serve-algo-1")

        wait_until(lambda: _answers(host, port), "the server answers")
        assert port == 8080
        assert ipaddress.ip_address(host) in _subnet(cloud, network)
        assert not any(description["NetworkSettings"]["Ports"].values())
    finally:
        container.stop(0)


def test_hosts_of_a_job_are_on_both_networks_and_have_a_name_on_theirs_only(cloud: DockerCloud, network: str) -> None:
    """Another job's algo-1 on the common network would answer to the same name."""
    image = cloud.push("trained-beside", {"train": _TRAIN})
    container = cloud.engine.start(_launch(cloud, image, "train", network="job"))
    try:
        (description,) = _descriptions(cloud, "train-algo-1")
        aliases = {
            found["NetworkID"]: found["Aliases"] for found in description["NetworkSettings"]["Networks"].values()
        }
        common = aliases.pop(network)
        (own,) = aliases.values()

        assert "algo-1" in own
        assert "algo-1" not in common
    finally:
        _end(container)


def test_an_isolated_job_stays_off_the_common_network(cloud: DockerCloud, network: str) -> None:
    """The local AWS is there, and with it a way to every network."""
    image = cloud.push("isolated-beside", {"train": _TRAIN})
    container = cloud.engine.start(_launch(cloud, image, "train", network="isolated", is_isolated=True))
    try:
        (description,) = _descriptions(cloud, "train-algo-1")
        joined = [found["NetworkID"] for found in description["NetworkSettings"]["Networks"].values()]

        assert len(joined) == 1
        assert network not in joined
    finally:
        _end(container)


def test_the_common_network_stays_when_a_job_ends(cloud: DockerCloud, network: str) -> None:
    """It is Compose's; the job's own goes."""
    image = cloud.push("ended-beside", {"train": _TRAIN})

    _end(cloud.engine.start(_launch(cloud, image, "train", network="ended")))

    wait_until(lambda: not cloud.left(), "nothing of the job is left")
    assert cloud.docker.networks.get(network)


def _launch(cloud: DockerCloud, image: str, argument: str, **options: Any) -> Launch:
    directory = cloud.state_dir / f"{argument}-{secrets.token_hex(3)}"
    directory.mkdir(parents=True)
    return Launch(f"{argument}-algo-1", image, (argument,), directory, **options)


def _descriptions(cloud: DockerCloud, name: str) -> list[dict[str, Any]]:
    """Return what the engine says of this local AWS's containers of that name."""
    api = cloud.docker.api
    found = api.containers(filters={"label": f"local-aws={cloud.docker_engine.label}", "name": name})
    return [api.inspect_container(container["Id"]) for container in found]


def _subnet(cloud: DockerCloud, network: str) -> ipaddress.IPv4Network:
    (configuration,) = cloud.docker.api.inspect_network(network)["IPAM"]["Config"]
    return ipaddress.IPv4Network(configuration["Subnet"])


def _answers(host: str, port: int) -> bool:
    try:
        return urllib3.request("GET", f"http://{host}:{port}/ping", retries=False).status == 200
    except urllib3.exceptions.HTTPError:
        return False


def _end(container: Container) -> None:
    container.stop(5)
    assert list(container.lines())
