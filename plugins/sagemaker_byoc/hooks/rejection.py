"""Finds out whether the version of a failed deployment may be rejected.

Owns what speaks against that, read off the endpoint and the tags of its configurations. Knows nothing of tasks or
templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_byoc.config_history import FAILED, SMOKE_TEST
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.traffic_shift import share_of

if TYPE_CHECKING:
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.restoration import Deployed
    from sagemaker_byoc.traffic_shift import TrafficLook

__all__ = ["why_not_rejected"]

_SERVES_NOTHING = ("Failed", "OutOfService", "Deleting")


def why_not_rejected(connection: AwsConnection, deployed: Deployed) -> str:
    """Return why the version that was deployed must not be rejected; empty when it may.

    What clients are answered by is never rejected, nor what another deployment kept from being judged.
    """
    look = EndpointHook(connection).traffic(deployed.endpoint_name)
    if look is None or look.endpoint.status in _SERVES_NOTHING:
        return ""
    target = look.endpoint.target_config
    if target in (deployed.config_name, deployed.promoted_config):
        share = _share(look, deployed)
        return (
            f"endpoint {deployed.endpoint_name} has {target}, which gives it {share:g}% of the traffic" if share else ""
        )
    if target == deployed.previous_config or _has_failed(connection, deployed):
        return ""
    return f"endpoint {deployed.endpoint_name} has {target}: another deployment came before this one was judged"


def _share(look: TrafficLook, deployed: Deployed) -> float:
    if deployed.candidate is None or look.endpoint.target_config == deployed.promoted_config:
        return 100.0
    return share_of(deployed.candidate.weights, look.variants)


def _has_failed(connection: AwsConnection, deployed: Deployed) -> bool:
    names = {deployed.config_name, deployed.promoted_config or deployed.config_name}
    verdicts = [EndpointConfigHook(connection).tags(name).get(SMOKE_TEST, "") for name in sorted(names)]
    return any(verdict.startswith(FAILED) for verdict in verdicts)
