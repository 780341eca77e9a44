"""Makes a deployment one beside the live model, where there is one.

Owns the looks at what is live that this needs. How the two stand beside each other is decided in ``candidate``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.candidate import CANDIDATE_FOR, RETAIN, candidate_of, combined_config
from sagemaker_byoc.config_history import CANDIDATE_PACKAGE, ENDPOINT, MODEL_PACKAGE, PROMOTION
from sagemaker_byoc.errors import NoWayBackError
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.restore_point import creation_request

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.endpoint_status import EndpointLook
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.deployment import DeploymentPlan

__all__ = ["plan_beside"]


def plan_beside(connection: AwsConnection, plan: DeploymentPlan, look: EndpointLook | None) -> DeploymentPlan:
    """Return what is to be deployed now: both models, or the plan itself where nothing is live to stand beside.

    A configuration that holds both already is found by its tag, whichever try made it.

    :raises RequestError: the two cannot stand beside each other
    :raises NoWayBackError: the live configuration does not exist any more
    """
    if look is None or look.target_config in (None, plan.config_name):
        return plan
    configs = EndpointConfigHook(connection)
    target = str(look.target_config)
    combined_for = configs.tags(target).get(CANDIDATE_FOR)
    if combined_for == plan.config_name and (found := configs.describe(target)) is not None:
        return _combined(plan, {**found, "EndpointConfigName": target})
    if look.status != "InService":
        return plan
    traffic = EndpointHook(connection).traffic(look.endpoint_name)
    if traffic is None or traffic.endpoint != look:
        # It has changed since the look; the next one shows how.
        return plan if traffic is None else plan_beside(connection, plan, traffic.endpoint)
    live = _live(connection, target)
    both = combined_config(live, traffic.variants, plan.config, is_combined=combined_for is not None)
    return _combined(plan, connection.conform("sagemaker", "CreateEndpointConfig", both))


def _combined(plan: DeploymentPlan, config: Mapping[str, Any]) -> DeploymentPlan:
    """Return the plan for a combined configuration, which is no part of the endpoint's history."""
    name = config["EndpointConfigName"]
    keys = {MODEL_PACKAGE: CANDIDATE_PACKAGE}
    tags = [{**tag, "Key": keys.get(tag["Key"], tag["Key"])} for tag in plan.config["Tags"] if tag["Key"] != ENDPOINT]
    # the mark of a promotion goes, where the same two stood beside each other before
    facts = {CANDIDATE_FOR: plan.config_name, PROMOTION: ""}
    # nothing is retained, since the live variants are written down as they are now
    kept = {key: value for key, value in plan.update.items() if key not in RETAIN}
    return replace(
        plan,
        config={**config, "Tags": [*tags, *({"Key": key, "Value": value} for key, value in facts.items())]},
        update={**kept, "EndpointConfigName": name},
        candidate=candidate_of(config, plan.config, plan.update),
    )


def _live(connection: AwsConnection, config_name: str) -> dict[str, Any]:
    """Describe what is live as the request that would make it."""
    config = EndpointConfigHook(connection).describe(config_name)
    if config is None:
        message = (
            f"Nothing can stand beside {config_name}, which is live and was deleted since. Make it again under the "
            "same name, or deploy with strategy='direct'."
        )
        raise NoWayBackError(message)
    model = connection.client("sagemaker").meta.service_model.operation_model("CreateEndpointConfig")
    return creation_request(config, model.input_shape)
