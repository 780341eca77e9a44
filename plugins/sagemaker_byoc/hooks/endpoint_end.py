"""What the end of a deployment means to the task that waited for it.

Owns the gathering of the whole story: AWS's reason, the last lines of the new containers, the console link. Also owns
the note on a configuration that did not become live.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.config_history import FAILED
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.endpoint_status import DeploymentGoal, EndpointLook
    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["finish"]

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
    why = explain(verdict, look, goal)
    if verdict in (Verdict.ROLLED_BACK, Verdict.FAILED):
        # Of the other ends it is not this configuration that is the reason.
        EndpointConfigHook(connection).note(goal.config_name, f"{FAILED}: {why}")
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
