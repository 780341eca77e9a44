"""Who can reach the local AWS: on which addresses it may listen, and to which names it may answer.

Owns the rule that keeps other machines out, since nobody logs in and StartBuild runs shell commands. Must not know
sockets or requests.
"""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

__all__ = ["LOOPBACK", "check_host_name", "check_listen_address", "is_inside_container"]

LOOPBACK = "127.0.0.1"

_CONTAINER_MARKS = (Path("/.dockerenv"), Path("/run/.containerenv"))
"""What Docker and Podman put into every container."""
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.IGNORECASE | re.ASCII)


def is_inside_container() -> bool:
    """Tell whether this process runs in a container of Docker's or Podman's."""
    return any(mark.exists() for mark in _CONTAINER_MARKS)


def check_listen_address(address: str) -> str:
    """Return the address if the local AWS may listen on it.

    Inside a container every address will do: which of them anybody reaches is for whoever runs the container to say.

    :raises ValueError: when it is no IP address, or one that other machines may reach
    """
    try:
        is_loopback = ipaddress.ip_address(address).is_loopback
    except ValueError:
        message = f"{address!r} is no IP address to listen on; give {LOOPBACK}, or 0.0.0.0 inside a container"
        raise ValueError(message) from None
    if not is_loopback and not is_inside_container():
        message = (
            f"{address} may be reached from other machines; the local AWS checks no credentials and, except inside a "
            f"container, listens on loopback only: use {LOOPBACK}"
        )
        raise ValueError(message)
    return address


def check_host_name(name: str) -> str:
    """Return the name if the local AWS may answer to it.

    :raises ValueError: when it is not one word: with a dot, S3 takes what is before it for a bucket's name
    """
    if _LABEL.fullmatch(name) is None:
        message = f"{name!r} is no host name to answer to; give one word of letters, digits and hyphens, as local-aws"
        raise ValueError(message)
    return name.lower()
