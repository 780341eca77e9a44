"""A launch in the words of Docker's API.

Owns the mapping from SageMaker's container contract to ``docker create``. Must not talk to an engine.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.container import Launch

__all__ = ["ML_ROOT", "SERVING_PORT", "container_request", "host_request", "is_server", "missing_program"]

ML_ROOT = "/opt/ml"
SERVING_PORT = 8080
"""Where a serving container listens (developer guide, "Custom Inference Code with Hosting Services")."""

_SHARED_MEMORY_BYTES = 64 * 1024 * 1024
"""Docker's default. How much there is on SageMaker is not documented, so a container should do with this."""

_MISSING_PROGRAM = re.compile(r"exec: \\?\"[^\"]*\\?\": .*?(?=: unknown|$)")


def container_request(launch: Launch, image: str, labels: Mapping[str, str]) -> dict[str, Any]:
    """Return the arguments of ``docker create`` except those about the machine.

    :param image: name by which the engine has the image
    """
    request: dict[str, Any] = {
        "image": image,
        # An empty list keeps the image's own CMD, as `docker run IMAGE` does.
        "command": list(launch.arguments) or None,
        "hostname": launch.host,
        "environment": dict(launch.environment),
        "labels": dict(labels),
    }
    if launch.entrypoint:
        # Docker forgets the image's CMD together with its ENTRYPOINT.
        request["entrypoint"] = list(launch.entrypoint)
    if is_server(launch):
        request["ports"] = [SERVING_PORT]
    return request


def host_request(launch: Launch, port: int | None, memory_bytes: int | None = None) -> dict[str, Any]:
    """Return the arguments of Docker's HostConfig.

    :param port: loopback port of this machine for the container's port 8080
    :param memory_bytes: what the container may use before the kernel kills it; None for all of the machine's
    """
    mounts = [f"{launch.ml_dir}:{ML_ROOT}:rw"]
    if launch.read_only_model:
        mounts.append(f"{launch.ml_dir / 'model'}:{ML_ROOT}/model:ro")
    # As much with swap as without, or a container would swap instead of being killed.
    memory = {} if memory_bytes is None else {"mem_limit": memory_bytes, "memswap_limit": memory_bytes}
    return {
        **memory,
        "binds": mounts,
        "privileged": False,
        "shm_size": _SHARED_MEMORY_BYTES,
        "port_bindings": {} if port is None else {SERVING_PORT: ("127.0.0.1", port)},
        # The output is read as it comes; Docker's log files break a character that crosses 16 KB or lose the last line.
        "log_config": {"Type": "none", "Config": {}},
    }


def is_server(launch: Launch) -> bool:
    """Tell whether the container is to answer on port 8080."""
    return "serve" in launch.arguments


def missing_program(explanation: str) -> str:
    """Return what runc says about a program that does not exist, without the chain of callers before it."""
    found = _MISSING_PROGRAM.search(explanation)
    return found.group().replace("\\", "") if found else explanation
