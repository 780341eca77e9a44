"""Finds out whether the version of a failed deployment may be rejected.

Owns what speaks against that, read off the endpoint and the tags of its configurations. Knows nothing of tasks or
templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_byoc.config_history import FAILED, PASSED
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.traffic_shift import share_of

if TYPE_CHECKING:
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.restoration import Deployed
    from sagemaker_byoc.traffic_shift import TrafficLook

__all__ = ["why_not_rejected"]

_SERVES_NOTHING = ("Failed", "OutOfService")


def why_not_rejected(connection: AwsConnection, deployed: Deployed) -> str:
    """Return why the version that was deployed must not be rejected; empty when it may.

    What clients are answered by is never rejected, nor what another deployment kept from being judged, nor what has
    passed its test and is gone for another reason than its answers.
    """
    name, own = deployed.endpoint_name, (deployed.config_name, deployed.promoted_config or deployed.config_name)
    look = EndpointHook(connection).traffic(name)
    target = look.endpoint.target_config if look is not None and look.endpoint.status != "Deleting" else None
    if look is not None and target in own:
        return _why_it_serves(look, deployed)
    if look is not None and look.endpoint.status == "UpdateRollbackFailed" and target == deployed.previous_config:
        return f"endpoint {name} serves a mix of {target} and what came after it"
    verdict = EndpointConfigHook(connection).verdict(*own)
    if verdict.startswith(FAILED):
        return ""
    if target not in (None, deployed.previous_config):
        return f"endpoint {name} has {target}: another deployment came before this one was judged"
    return f"it has passed its smoke test, and endpoint {name} {_now(target)}" if verdict == PASSED else ""


def _why_it_serves(look: TrafficLook, deployed: Deployed) -> str:
    if look.endpoint.status in _SERVES_NOTHING:
        return ""
    target, share = look.endpoint.target_config, _share(look, deployed)
    return f"endpoint {deployed.endpoint_name} has {target}, which gives it {share:g}% of the traffic" if share else ""


def _now(target: str | None) -> str:
    return f"was given {target} back" if target else "was deleted"


def _share(look: TrafficLook, deployed: Deployed) -> float:
    if deployed.candidate is None or look.endpoint.target_config == deployed.promoted_config:
        return 100.0
    return share_of(deployed.candidate.weights, look.variants)
