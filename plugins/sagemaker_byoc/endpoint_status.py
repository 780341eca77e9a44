"""An endpoint as one look at it shows, and what that means for those who wait.

Owns the reading of DescribeEndpoint and the verdict over it. Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from sagemaker_byoc.candidate import Candidate
from sagemaker_byoc.errors import RequestError

__all__ = ["LOG_GROUP", "DeploymentGoal", "EndpointLook", "Settled", "Verdict", "explain", "judge"]

LOG_GROUP = "/aws/sagemaker/Endpoints/{}"
"""Where SageMaker writes the output of an endpoint's containers, by the endpoint's name.
Source: https://docs.aws.amazon.com/sagemaker/latest/dg/logging-cloudwatch.html"""

_NAMED_VARIANT = re.compile(r"variant ([a-zA-Z0-9](?:-*[a-zA-Z0-9])*)")
"""How AWS's reasons name a variant: "production variant AllTraffic did not pass the ping health check"."""

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
    :param variants: those that have fewer instances than they should, or all when none has
    """

    endpoint_name: str
    status: str
    live_config: str | None = None
    pending_config: str | None = None
    failure_reason: str = ""
    variants: Sequence[str] = ()

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> EndpointLook:
        """Read an answer of DescribeEndpoint, or one of the summaries of ListEndpoints, which say less."""
        return cls(
            endpoint_name=answer["EndpointName"],
            status=answer["EndpointStatus"],
            live_config=answer.get("EndpointConfigName"),
            pending_config=answer.get("PendingDeploymentSummary", {}).get("EndpointConfigName"),
            failure_reason=answer.get("FailureReason", ""),
            variants=_variants(answer.get("ProductionVariants", ())),
        )

    @property
    def changing(self) -> bool:
        """Say whether AWS refuses to update or delete the endpoint now."""
        return self.status in _CHANGING

    @property
    def target_config(self) -> str | None:
        """Return the configuration that the endpoint has, or is being given."""
        return self.pending_config or self.live_config

    @property
    def variants_concerned(self) -> list[str]:
        """Return the variants that the end was about: those that AWS's reason names, else what the counts show."""
        return list(dict.fromkeys(_NAMED_VARIANT.findall(self.failure_reason))) or list(self.variants)

    def as_json(self) -> dict[str, Any]:
        """Return the fields, so that a trigger's event can carry them; ``EndpointLook(**fields)`` reads them back."""
        return asdict(self)


def _variants(described: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    short = [
        variant["VariantName"]
        for variant in described
        if variant.get("CurrentInstanceCount", 0) < variant.get("DesiredInstanceCount", 0)
    ]
    return tuple(short or [variant["VariantName"] for variant in described])


@dataclass(frozen=True)
class DeploymentGoal:
    """What an endpoint shall serve.

    :param config_name: the endpoint configuration that must be live
    :param previous_config_name: what was live before; None when that is unknown or there was nothing
    :param promoted_config_name: what a candidate has to itself in the end, which will do as well: a wait that is begun
        anew after that finds it
    """

    endpoint_name: str
    config_name: str
    previous_config_name: str | None = None
    promoted_config_name: str | None = None

    @classmethod
    def of(
        cls,
        endpoint: Any,
        config_name: str | None,
        previous_config_name: str | None,
        promoted_config_name: str | None = None,
    ) -> DeploymentGoal:
        """Bring both ways of naming it to one: a name with its configurations, or what CreateEndpointOperator returns.

        :param endpoint: name, or mapping with ``endpoint_name``, ``endpoint_config_name``,
            ``previous_endpoint_config_name`` and ``candidate``, of which the last three are overruled by the other
            parameters; a candidate counts only where the configuration is the mapping's own
        :raises RequestError: one of the first two is missing
        """
        given = endpoint if isinstance(endpoint, Mapping) else {"endpoint_name": endpoint}
        name = given.get("endpoint_name")
        candidate = Candidate.of(given.get("candidate")) if not config_name else None
        config_name = config_name or given.get("endpoint_config_name")
        if not isinstance(name, str) or not name:
            raise RequestError("endpoint", endpoint, "the result of create_endpoint, or the endpoint's name")
        if not config_name:
            remedy = "Without it, an update that was rolled back would pass for success."
            raise RequestError("endpoint_config_name", None, "the configuration that must be live", remedy)
        previous = previous_config_name or given.get("previous_endpoint_config_name") or None
        return cls(name, config_name, previous, promoted_config_name or (candidate.final_name if candidate else None))

    @property
    def config_names(self) -> tuple[str, ...]:
        """Return the configurations of which one must be live."""
        return (self.config_name, *([self.promoted_config_name] if self.promoted_config_name else []))


class Settled:
    """Says of one look after the other whether the wait is over.

    It is as soon as an expected configuration is live. Another end has to be seen twice in a row, since AWS may
    answer with the state from before an update that it accepted a moment ago.

    :param expected_configs: none takes every end at the first sight of it
    """

    def __init__(self, *expected_configs: str) -> None:
        self._expected_configs = expected_configs
        self._last: EndpointLook | None = EndpointLook("", "")

    def __call__(self, look: EndpointLook | None) -> bool:
        """Take the next look."""
        last, self._last = self._last, look
        if look is not None and look.changing:
            return False
        if not self._expected_configs or (look is not None and look.live_config in self._expected_configs):
            return True
        return look == last


def judge(look: EndpointLook | None, goal: DeploymentGoal) -> Verdict:
    """Decide what a look means for the one who asked for a configuration.

    :param look: None when the endpoint does not exist
    """
    if look is None or look.status == "Deleting":
        return Verdict.GONE
    if look.changing:
        return Verdict.WAITING
    if look.status != "InService":
        return Verdict.FAILED
    if look.live_config in goal.config_names:
        return Verdict.LIVE
    return Verdict.ROLLED_BACK if look.live_config == goal.previous_config_name else Verdict.SUPERSEDED


_EXPLANATIONS = {
    Verdict.ROLLED_BACK: "the update to {requested} failed and AWS put {live} back, which serves as before",
    Verdict.SUPERSEDED: "it serves {live} instead of {requested}: another deployment came after this one",
    Verdict.FAILED: "it is {status}{meaning} and does not serve {requested}",
    Verdict.GONE: "it does not exist any more, so {requested} is not served: somebody deleted it",
}


_MEANINGS = {
    "OutOfService": " (it takes no requests)",
    "UpdateRollbackFailed": " (it serves a mix of old and new instances, since AWS's own way back failed as well)",
}
"""What a status says, in the words of DescribeEndpoint's model."""


def explain(verdict: Verdict, look: EndpointLook | None, goal: DeploymentGoal) -> str:
    """Say in a few sentences why the wait did not end well."""
    live = look.live_config if look is not None else None
    status = look.status if look is not None else "gone"
    text = _EXPLANATIONS[verdict].format(
        requested=goal.config_name, live=live, status=status, meaning=_MEANINGS.get(status, "")
    )
    reason = look.failure_reason if look is not None else ""
    told = [f"Endpoint {goal.endpoint_name}: {text}."]
    if reason:
        told.append(f"AWS says: {reason}")
    if verdict in (Verdict.ROLLED_BACK, Verdict.FAILED) and look is not None and look.variants_concerned:
        told.append(f"Variants concerned: {', '.join(look.variants_concerned)}.")
    return " ".join(told)
