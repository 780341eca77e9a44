"""The hosts of one training job as a ``torch.distributed`` group; a single host needs none.

While the group is joined it is torch's default group, so a model may also use ``torch.distributed`` directly.
"""

import contextlib
import ipaddress
import os
import socket
import sys
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeVar, cast

import torch
from torch import distributed

from sagemaker_container.configuration import Hosts
from sagemaker_container.errors import ConfigurationError, PeerLostError
from sagemaker_container.output import report

T = TypeVar("T")

DEFAULT_PORT = 29500
JOIN_TIMEOUT_SECONDS = 300
DNS_RETRY_SECONDS = 0.5


class Cluster:
    """What the hosts of a job do together; every host must make the same calls in the same order."""

    def __init__(self, rank: int = 0, size: int = 1) -> None:
        self.rank = rank
        self.size = size

    @property
    def is_leader(self) -> bool:
        """Only the leader writes the model, checkpoints and metrics."""
        return self.rank == 0

    def add(self, values: torch.Tensor) -> torch.Tensor:
        """Return the sum of a tensor over all hosts."""
        if self.size > 1:
            with _peers():
                distributed.all_reduce(values)
        return values

    def gather(self, value: T) -> list[T]:
        """Return every host's value, in rank order."""
        values: list[T | None] = [value] * self.size
        if self.size > 1:
            with _peers():
                distributed.all_gather_object(values, value)
        return cast("list[T]", values)

    def wait_for_all(self) -> None:
        """Return when every host has come this far."""
        self.gather(None)


@contextlib.contextmanager
def joined(hosts: Hosts) -> Iterator[Cluster]:
    """Join the hosts of the job for the length of the ``with`` block."""
    if len(hosts.names) == 1:
        yield Cluster()
        return
    _join(hosts)
    # The only line of a host that is not the leader: without one it would have no log stream, and none to look at.
    report(f"{hosts.current} has joined: rank {hosts.rank} of {len(hosts.names)} hosts")
    try:
        yield Cluster(hosts.rank, len(hosts.names))
    finally:
        distributed.destroy_process_group()


def resolve(address: str) -> str:
    """Return the IP address of a host; the platform's names may take a while to resolve."""
    deadline = time.monotonic() + JOIN_TIMEOUT_SECONDS
    while True:
        try:
            return str(socket.getaddrinfo(address, None, family=socket.AF_INET)[0][4][0])
        except socket.gaierror as error:
            if time.monotonic() > deadline:
                message = f"The host {address!r} did not resolve within {JOIN_TIMEOUT_SECONDS} seconds: {error}."
                raise PeerLostError(message) from error
        time.sleep(DNS_RETRY_SECONDS)


def _join(hosts: Hosts) -> None:
    address = os.environ.get("MASTER_ADDR") or hosts.names[0]
    resolved = resolve(address)
    _choose_interface(hosts, resolved)
    with _peers():
        store = _open_store(resolved, _port(), hosts)
        distributed.init_process_group("gloo", store=store, rank=hosts.rank, world_size=len(hosts.names))


def _port() -> int:
    text = os.environ.get("MASTER_PORT") or str(DEFAULT_PORT)
    if not text.isdecimal():
        message = f"MASTER_PORT is {text!r}; expected a port number."
        raise ConfigurationError(message)
    return int(text)


def _choose_interface(hosts: Hosts, leader_address: str) -> None:
    """Tell gloo which network to use; a name that this machine does not have would make it fail."""
    loopback = "lo0" if sys.platform == "darwin" else "lo"
    interface = loopback if _is_loopback(leader_address) else hosts.network_interface
    if interface in {name for _, name in socket.if_nameindex()}:
        os.environ.setdefault("GLOO_SOCKET_IFNAME", str(interface))


def _open_store(address: str, port: int, hosts: Hosts) -> Any:
    """Open the meeting point: the leader listens, the others connect and retry until it does.

    The store listens on every interface unless it is handed a socket, and a group on the loopback address must not
    be reachable from outside.
    """
    descriptor = None
    if hosts.rank == 0 and _is_loopback(address):
        descriptor = socket.create_server((address, port)).detach()
    return distributed.TCPStore(  # type: ignore[attr-defined]  # public, but torch does not mark it as exported
        address,
        port,
        len(hosts.names),
        is_master=hosts.rank == 0,
        timeout=timedelta(seconds=JOIN_TIMEOUT_SECONDS),
        master_listen_fd=descriptor,
    )


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback


@contextlib.contextmanager
def _peers() -> Iterator[None]:
    """Say plainly what torch reports as a connection error of its transport."""
    try:
        yield
    except (RuntimeError, OSError) as error:
        reason = str(error).splitlines()[0]
        message = f"Another host of the job ended or cannot be reached; look at its log first. ({reason})"
        raise PeerLostError(message) from error
