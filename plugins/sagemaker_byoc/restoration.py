"""The decisions of a restoration: what shall serve again, and which step comes next.

Owns these decisions and makes no call, so that each can be tried on every state. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.candidate import Candidate
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.request import read_mapping
from sagemaker_byoc.restore_point import RestorePoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.endpoint_status import EndpointLook

__all__ = ["Deployed", "RestoreGoal", "RestoreStep", "is_on_its_way", "next_restore_step"]


class RestoreStep(Enum):
    """What to do next."""

    DONE = "done"
    LEAVE = "leave"
    WAIT = "wait"
    DELETE = "delete"
    CREATE = "create"
    UPDATE = "update"
    FAILED = "failed"


@dataclass(frozen=True)
class RestoreGoal:
    """What an endpoint shall serve again.

    :param replaced_config: the configuration that may be taken away for it; None for whichever is live
    :param retain: members of UpdateEndpoint by which variants keep their size, for an endpoint that is in service
    :param promoted_config: another one that may be taken away: what a candidate gets to itself in the end
    """

    endpoint_name: str
    config_name: str
    replaced_config: str | None = None
    retain: Mapping[str, Any] = field(default_factory=dict)
    promoted_config: str | None = None

    def as_json(self) -> dict[str, Any]:
        """Return the fields, so that a task can carry them through a wait."""
        return asdict(self)

    def covers(self, config_name: str | None) -> bool:
        """Say whether a configuration is one that this restoration is about, and not a later deployment's."""
        own = (None, self.config_name, self.replaced_config, self.promoted_config)
        return self.replaced_config is None or config_name in own


def next_restore_step(look: EndpointLook | None, goal: RestoreGoal, *, sent: bool = False) -> RestoreStep:
    """Decide from one look at the endpoint.

    :param look: None when the endpoint does not exist
    :param sent: whether the endpoint was told to serve the old configuration already, and has settled since
    """
    if look is None:
        return RestoreStep.CREATE
    if look.changing:
        return RestoreStep.WAIT
    if look.status == "InService" and look.live_config == goal.config_name:
        return RestoreStep.DONE
    if not goal.covers(look.live_config):
        return RestoreStep.LEAVE
    if sent:
        return RestoreStep.FAILED
    # A failed endpoint can only be deleted. One that is out of service serves nothing either, and cannot be updated to
    # the configuration that it has. Guess: a mix of old and new instances (UpdateRollbackFailed) can, since that is how
    # it becomes whole; it is never deleted, since it serves.
    if look.status == "Failed" or (look.status == "OutOfService" and look.live_config == goal.config_name):
        return RestoreStep.DELETE
    return RestoreStep.UPDATE


def is_on_its_way(look: EndpointLook | None, goal: RestoreGoal) -> bool:
    """Say whether the endpoint is being given what it shall serve, by an earlier try or somebody else."""
    if look is None or not look.changing:
        return False
    # without a pending one, an update is one of instances or weights
    return goal.config_name == (look.target_config if look.status == "Creating" else look.pending_config)


@dataclass(frozen=True)
class Deployed:
    """What CreateEndpointOperator returned.

    :param previous_config: what was live before; None when there was nothing
    :param operation: the operator's word for what it did
    :param point: from which the previous configuration can be made again
    :param candidate: what stands beside the earlier model; None when it was replaced
    :param retain: members of UpdateEndpoint by which variants kept their size, and shall on the way back
    """

    endpoint_name: str
    config_name: str
    previous_config: str | None = None
    operation: str = ""
    point: RestorePoint | None = None
    candidate: Candidate | None = None
    retain: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, given: Any) -> Deployed | None:
        """Read it, as a mapping or its JSON; None stands for a deployment that did not take place.

        :raises RequestError: it is something else
        """
        found = read_mapping(given, "deployment")
        if found is None:
            return None
        names = [found.get(key) for key in ("endpoint_name", "endpoint_config_name")]
        if not all(isinstance(name, str) and name for name in names):
            raise RequestError("deployment", given, "what CreateEndpointOperator returns")
        return cls(
            endpoint_name=str(names[0]),
            config_name=str(names[1]),
            previous_config=found.get("previous_endpoint_config_name") or None,
            operation=str(found.get("operation", "")),
            point=RestorePoint.of(found.get("restore_point"), "deployment.restore_point"),
            candidate=Candidate.of(found.get("candidate")),
            retain=read_mapping(found.get("retain"), "deployment.retain") or {},
        )

    def as_json(self) -> dict[str, Any]:
        """Return it as a trigger carries it: without what it takes to make the earlier models again."""
        return {
            "endpoint_name": self.endpoint_name,
            "endpoint_config_name": self.config_name,
            "previous_endpoint_config_name": self.previous_config,
            "operation": self.operation,
            "candidate": self.candidate.as_json() if self.candidate else None,
            "retain": dict(self.retain),
        }

    @property
    def way_back(self) -> RestoreGoal | None:
        """Return what to restore when the deployment turns out bad; None when nothing was live before."""
        if self.previous_config is None:
            return None
        return RestoreGoal(
            self.endpoint_name, self.previous_config, self.config_name, self.retain, self.promoted_config
        )

    @property
    def promoted_config(self) -> str | None:
        """Return the configuration that the candidate gets to itself in the end; None without a candidate."""
        return self.candidate.final_name if self.candidate else None

    @property
    def is_promoted(self) -> bool:
        """Say whether this speaks of the candidate's own configuration, and no longer of the combined one."""
        return self.config_name == self.promoted_config
