"""What the end of a deployment means to the task that waited for it.

Owns the gathering of the whole story: AWS's reason, the last lines of the new containers, the console link. Also owns
the note on a configuration that did not become live.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.config_history import FAILED, PASSED
from sagemaker_byoc.console import endpoint_url
from sagemaker_byoc.endpoint_status import LOG_GROUP, Verdict, explain, judge
from sagemaker_byoc.errors import (
    EndpointFailedError,
    EndpointGoneError,
    EndpointOutOfServiceError,
    EndpointRollbackFailedError,
    EndpointRolledBackError,
    EndpointSupersededError,
    SageMakerByocError,
)
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.run import tag_value

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.endpoint_status import DeploymentGoal, EndpointLook
    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["finish"]

log = logging.getLogger(__name__)

_ERRORS: Mapping[Verdict, type[SageMakerByocError]] = {
    Verdict.ROLLED_BACK: EndpointRolledBackError,
    Verdict.SUPERSEDED: EndpointSupersededError,
    Verdict.FAILED: EndpointFailedError,
    Verdict.GONE: EndpointGoneError,
}
_ERRORS_BY_STATUS: Mapping[str, type[SageMakerByocError]] = {
    "OutOfService": EndpointOutOfServiceError,
    "UpdateRollbackFailed": EndpointRollbackFailedError,
}


def finish(
    connection: AwsConnection, look: EndpointLook | None, goal: DeploymentGoal, *, log_lines: int
) -> dict[str, Any]:
    """Return the result of a deployment whose configuration is live; mark one that AWS could not make live as failed.

    A configuration that has a mark keeps it: one that has passed its smoke test was live, whatever came after that, and
    of one that has failed it is known why.

    :param look: at the end of the wait; None when the endpoint does not exist
    :param log_lines: how many of the containers' last lines a failure shows
    :return: ``endpoint_name``, ``endpoint_config_name``, which is the live one
    :raises EndpointRolledBackError: AWS put the previous configuration back
    :raises EndpointSupersededError: the endpoint serves a third one
    :raises EndpointFailedError: it does not serve what it should; subclasses tell why: out of service, AWS's own way
        back failed, it is gone
    """
    verdict = judge(look, goal)
    if verdict is Verdict.LIVE and look is not None:
        return {"endpoint_name": goal.endpoint_name, "endpoint_config_name": look.live_config}
    tested = _tested(connection, goal)
    if verdict is Verdict.ROLLED_BACK and tested == PASSED:
        # AWS goes back only from what is not live yet, so somebody else has put the earlier one there.
        verdict = Verdict.SUPERSEDED
    why = explain(verdict, look, goal)
    mark = tag_value(f"{FAILED}: {why}")
    if verdict is Verdict.ROLLED_BACK and tested not in ("", None, mark):
        # A wait that was cleared: what ended this deployment was seen before, and it was not this.
        why = (
            f"Endpoint {goal.endpoint_name} has {goal.previous_config_name} back. {goal.config_name} ended so: {tested}"
        )
    if tested == "" and _is_to_blame(verdict, look, goal):
        EndpointConfigHook(connection).note(goal.config_name, mark)
    lines = LogHook(connection).last_words(
        # Pings of the fleet from before would push the new containers' words out.
        LOG_GROUP.format(goal.endpoint_name),
        "",
        log_lines,
        since=lambda: EndpointConfigHook(connection).created(goal.config_name),
    )
    link = endpoint_url(connection.region, goal.endpoint_name)
    story = (why, "Last lines of its containers:", *(lines or ["(none)"]), f"Console: {link}")
    by_status = _ERRORS_BY_STATUS.get(look.status) if look is not None and verdict is Verdict.FAILED else None
    raise (by_status or _ERRORS[verdict])("\n".join(story))


def _tested(connection: AwsConnection, goal: DeploymentGoal) -> str | None:
    """Return how the configuration's smoke test ended, empty before it has; None when nobody can tell.

    The mark is of this deployment: each one that makes the configuration anew takes an earlier mark off.
    """
    try:
        return EndpointConfigHook(connection).verdict(goal.config_name, goal.promoted_config_name)
    except Exception as error:  # noqa: BLE001 - the end matters more than what was written before
        log.warning(
            "Whether the configuration %s has passed its smoke test cannot be told: %s", goal.config_name, error
        )
        return None


def _is_to_blame(verdict: Verdict, look: EndpointLook | None, goal: DeploymentGoal) -> bool:
    """Say whether it is for this configuration that the deployment ended so.

    It is not for what somebody else has deployed since. AWS promises a FailureReason only of an endpoint that is
    Failed, so that a way back without one counts as AWS's.
    """
    if look is None or verdict not in (Verdict.ROLLED_BACK, Verdict.FAILED):
        return False
    return look.live_config in (goal.config_name, goal.previous_config_name)
