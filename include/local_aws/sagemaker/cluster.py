"""The hosts of a training job.

Owns their names, groups and the content of ``resourceconfig.json``. Must not know processes or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["Cluster", "Host"]

_ONLY_GROUP = "homogeneousCluster"


@dataclass(frozen=True)
class Host:
    """One instance of a training job.

    :param name: ``algo-1`` and so on
    :param number: 1 and so on
    """

    name: str
    number: int
    group: str
    instance_type: str


@dataclass(frozen=True)
class Cluster:
    """All instances of a training job, in the order of their numbers."""

    hosts: Sequence[Host]

    @classmethod
    def of(cls, resource_config: Mapping[str, Any]) -> Cluster:
        """Make the hosts that a request's ResourceConfig asks for."""
        groups = resource_config.get("InstanceGroups") or [{**resource_config, "InstanceGroupName": _ONLY_GROUP}]
        hosts: list[Host] = []
        for group in groups:
            first = len(hosts) + 1
            hosts += [
                Host(f"algo-{number}", number, group["InstanceGroupName"], group["InstanceType"])
                for number in range(first, first + group["InstanceCount"])
            ]
        return cls(hosts)

    def names(self, group: str | None = None) -> list[str]:
        """Return host names in lexicographic order (algo-10 before algo-2, as documented), of one group or of all."""
        return sorted(host.name for host in self.hosts if group in {None, host.group})

    def receivers(self, group_names: Sequence[str] | None) -> list[Host]:
        """Return the hosts that get a channel limited to these groups; no groups means all hosts."""
        return [host for host in self.hosts if not group_names or host.group in group_names]

    def resource_config(self, host: Host, network_interface: str) -> dict[str, Any]:
        """Return what ``resourceconfig.json`` holds on one host, in the form seen since 2022."""
        groups = {member.group: member.instance_type for member in self.hosts}
        return {
            "current_group_name": host.group,
            "current_host": host.name,
            "current_instance_type": host.instance_type,
            "hosts": self.names(),
            "instance_groups": [
                {"instance_group_name": group, "instance_type": kind, "hosts": self.names(group)}
                for group, kind in groups.items()
            ],
            "network_interface_name": network_interface,
        }
