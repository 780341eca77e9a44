"""Who owns the files that containers leave on this machine.

Owns the way in which an ordinary user gets what root wrote. Must not know launches.
"""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from docker.types import Mount

from local_aws.docker_engine.container import ENGINE_ERRORS, remove_container
from local_aws.docker_engine.launch import ML_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["give_files", "owner_of_files"]

_logger = logging.getLogger(__name__)


def owner_of_files() -> tuple[int, int] | None:
    """Return who is to get the files that root writes in containers; None when that is root."""
    return (os.geteuid(), os.getegid()) if os.geteuid() != 0 else None


def give_files(api: Any, image: str, directory: str, owner: tuple[int, int], labels: Mapping[str, str]) -> None:
    """Let root of a container, who alone may, give the files to ``owner``; the image's own chown does it.

    :param directory: the engine's path of what a container has as ``/opt/ml``
    :param owner: user and group
    """
    try:
        container_id = api.create_container(
            image,
            ["-R", f"{owner[0]}:{owner[1]}", ML_ROOT],
            entrypoint=["chown"],
            user="0",
            labels=dict(labels),
            host_config=api.create_host_config(mounts=[Mount(ML_ROOT, directory, "bind")], network_mode="none"),
        )["Id"]
        try:
            api.start(container_id)
            api.wait(container_id)
        finally:
            remove_container(api, container_id)
    except ENGINE_ERRORS as error:
        reason = getattr(error, "explanation", None) or error
        _logger.warning("Files in %s stay with root: %s", directory, reason)
