"""Private networks on which the containers of a job find each other by host name.

Owns their creation with the first container and their end with the last. Must not know containers.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from local_aws.docker_engine.container import ENGINE_ERRORS

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Networks"]

_NO_ADDRESS_OF_THE_MACHINE = "com.docker.network.bridge.inhibit_ipv4"
"""Source: Docker, "Bridge network driver", options."""
_logger = logging.getLogger(__name__)


class Networks:
    """The networks of one local AWS.

    :param api: docker's low-level client
    :param prefix: begins every network's name, since all users of an engine share its names
    :param labels: by which what is left over is found
    """

    def __init__(self, api: Any, prefix: str, labels: Mapping[str, str]) -> None:
        self._api = api
        self._prefix = prefix
        self._labels = dict(labels)
        self._members: dict[str, tuple[str, int]] = {}
        self._lock = threading.Lock()

    def join(self, network: str, *, is_isolated: bool = False) -> str:
        """Count a container in and return the engine's id of the network, which its first container makes.

        :param is_isolated: let the containers reach one another and nothing else
        :raises docker.errors.APIError: when the engine refuses, for example because it has no subnet left
        """
        with self._lock:
            network_id, count = self._members.get(network) or (self._create(network, is_internal=is_isolated), 0)
            self._members[network] = (network_id, count + 1)
            return network_id

    def leave(self, network: str) -> None:
        """Count a container out; the network goes with the last one."""
        with self._lock:
            network_id, count = self._members[network]
            if count > 1:
                self._members[network] = (network_id, count - 1)
                return
            del self._members[network]
        try:
            self._api.remove_network(network_id)
        except ENGINE_ERRORS as error:
            _logger.warning("The network of %s cannot be removed: %s", network, error)

    def _create(self, network: str, *, is_internal: bool) -> str:
        name = f"{self._prefix}-{network}"
        # An internal bridge leads nowhere, but has an address of this machine, whose servers would answer there.
        options = {_NO_ADDRESS_OF_THE_MACHINE: "true"} if is_internal else None
        created = self._api.create_network(
            name, driver="bridge", labels=self._labels, internal=is_internal, options=options
        )
        return str(created["Id"])
