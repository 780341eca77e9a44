"""An endpoint as one look at it shows, and what that means for those who wait.

Owns the reading of DescribeEndpoint and the verdict over it. Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["EndpointLook", "Settled", "Verdict", "explain", "judge"]

_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


class Verdict(Enum):
    """What has become of a deployment."""

    WAITING = "waiting"
    LIVE = "live"
    ROLLED_BACK = "rolled back"
    SUPERSEDED = "superseded"
    FAILED = "failed"
    GONE = "gone"


@dataclass(frozen=True)
class EndpointLook:
    """What DescribeEndpoint said.

    :param status: EndpointStatus as AWS writes it
    :param live_config: the endpoint configuration that the endpoint names as its own
    :param pending_config: the one that is being deployed; None when nothing is
    """

    endpoint_name: str
    status: str
    live_config: str | None = None
    pending_config: str | None = None
    failure_reason: str = ""

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> EndpointLook:
        """Read an answer of DescribeEndpoint."""
        return cls(
            endpoint_name=answer["EndpointName"],
            status=answer["EndpointStatus"],
            live_config=answer.get("EndpointConfigName"),
            pending_config=answer.get("PendingDeploymentSummary", {}).get("EndpointConfigName"),
            failure_reason=answer.get("FailureReason", ""),
        )

    @property
    def changing(self) -> bool:
        """Say whether AWS refuses to update or delete the endpoint now."""
        return self.status in _CHANGING

    @property
    def target_config(self) -> str | None:
        """Return the configuration that the endpoint has, or is being given."""
        return self.pending_config or self.live_config

    def as_json(self) -> dict[str, Any]:
        """Return the fields, so that a trigger's event can carry them; ``EndpointLook(**fields)`` reads them back."""
        return asdict(self)


class Settled:
    """Says of one look after the other whether the wait is over.

    It is as soon as the expected configuration is live. Another end has to be seen twice in a row, since AWS may
    answer with the state from before an update that it accepted a moment ago.

    :param expected_config: None takes every end at the first sight of it
    """

    def __init__(self, expected_config: str | None) -> None:
        self._expected_config = expected_config
        self._last: EndpointLook | None = EndpointLook("", "")

    def __call__(self, look: EndpointLook | None) -> bool:
        """Take the next look."""
        last, self._last = self._last, look
        if look is not None and look.changing:
            return False
        if self._expected_config is None or (look is not None and look.live_config == self._expected_config):
            return True
        return look == last


def judge(look: EndpointLook | None, requested_config: str, previous_config: str | None) -> Verdict:
    """Decide what a look means for the one who asked for a configuration.

    :param look: None when the endpoint does not exist
    :param previous_config: what the endpoint served before; None when that is unknown or there was nothing
    """
    if look is None or look.status == "Deleting":
        return Verdict.GONE
    if look.changing:
        return Verdict.WAITING
    if look.status != "InService":
        return Verdict.FAILED
    if look.live_config == requested_config:
        return Verdict.LIVE
    return Verdict.ROLLED_BACK if look.live_config == previous_config else Verdict.SUPERSEDED


_EXPLANATIONS = {
    Verdict.ROLLED_BACK: "the update to {requested} failed and AWS put {live} back, which serves as before",
    Verdict.SUPERSEDED: "it serves {live} instead of {requested}: another deployment came after this one",
    Verdict.FAILED: "it is {status} and does not serve {requested}",
    Verdict.GONE: "it does not exist any more, so {requested} is not served: somebody deleted it",
}


def explain(verdict: Verdict, look: EndpointLook | None, endpoint_name: str, requested_config: str) -> str:
    """Say in one or two sentences why the wait did not end well."""
    live = look.live_config if look is not None else None
    status = look.status if look is not None else "gone"
    text = _EXPLANATIONS[verdict].format(requested=requested_config, live=live, status=status)
    reason = look.failure_reason if look is not None else ""
    return f"Endpoint {endpoint_name}: {text}.{f' AWS says: {reason}' if reason else ''}"
