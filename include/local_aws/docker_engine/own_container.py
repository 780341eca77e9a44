"""The container in which the local AWS itself runs, if it runs in one beside the containers that it starts.

Owns what differs then: directories have another path for the engine, and containers are reached on a network instead of
on published ports. Must not know launches.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from docker.errors import NotFound

from local_aws.reach import is_inside_container

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["OwnContainer", "OwnContainerError", "container_ids", "find_own_container", "read_own_container"]

_MOUNTINFO = Path("/proc/self/mountinfo")
# Docker mounts a container's own hosts and resolv.conf from a folder of the engine's that has its id for a name.
_ID_IN_MOUNTINFO = re.compile(r"/([0-9a-f]{64})/(?:userdata/)?(?:hosts|hostname|resolv\.conf) ")
_ID_IN_HOST_NAME = re.compile(r"[0-9a-f]{12}")
_NETWORKS_WITHOUT_NAMES = frozenset({"bridge", "host", "none"})
"""Docker's own networks, on which containers do not find each other by name."""


class OwnContainerError(Exception):
    """The local AWS's container lacks something without which no other can be started."""


@dataclass(frozen=True)
class OwnContainer:
    """The local AWS's own container.

    :param mounts: path in this container → path on the engine's machine
    :param network: engine's id of the network on which this container and those it starts reach each other
    """

    mounts: Mapping[Path, Path]
    network: str

    def engine_path(self, path: Path) -> Path:
        """Return the path under which the engine's machine has a file or directory of this container.

        :raises OwnContainerError: when it is on no mount, so that only this container has it
        """
        for folder in (path, *path.parents):
            if folder in self.mounts:
                return self.mounts[folder] / path.relative_to(folder)
        message = (
            f"{path} is on no volume of the local AWS's own container, so no other container can be given it; mount a "
            f"volume there, or name a mounted folder with --state-dir (mounted are: {_listed(self.mounts)})"
        )
        raise OwnContainerError(message)


def find_own_container(api: Any) -> OwnContainer | None:
    """Return the container in which this process runs; None when it runs in none that this engine knows.

    The latter is so in a container that has an engine of its own: the engine sees the same files as we do.

    :param api: docker's low-level client
    :raises OwnContainerError: when the container is on no network of its own, or on several
    """
    if not is_inside_container():
        return None
    for container_id in container_ids(_MOUNTINFO.read_text(encoding="utf-8"), socket.gethostname()):
        try:
            return read_own_container(api.inspect_container(container_id))
        except NotFound:
            continue
    return None


def container_ids(mountinfo: str, host_name: str) -> list[str]:
    """Return what may be the id of our own container, the surest first.

    :param mountinfo: text of ``/proc/self/mountinfo``
    :param host_name: Docker's default is the id's first twelve digits
    """
    named = [host_name] if _ID_IN_HOST_NAME.fullmatch(host_name) else []
    return list(dict.fromkeys([*_ID_IN_MOUNTINFO.findall(mountinfo), *named]))


def read_own_container(description: Mapping[str, Any]) -> OwnContainer:
    """Return what matters of the answer to ``docker inspect``.

    :raises OwnContainerError: when the container is on no network of its own, or on several
    """
    networks = {
        name: network["NetworkID"]
        for name, network in description["NetworkSettings"]["Networks"].items()
        if name not in _NETWORKS_WITHOUT_NAMES
    }
    if len(networks) != 1:
        message = (
            f"the local AWS's own container is on the networks: {_listed(networks)}; it must be on exactly one that "
            "was made with `docker network create` or by Compose, on which the containers that it starts reach it"
        )
        raise OwnContainerError(message)
    mounts = {Path(mount["Destination"]): Path(mount["Source"]) for mount in description["Mounts"]}
    return OwnContainer(mounts, next(iter(networks.values())))


def _listed(things: Iterable[object]) -> str:
    return ", ".join(str(thing) for thing in things) or "none"
