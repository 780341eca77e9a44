"""Puts back what an endpoint served before.

Owns the parameters, the wait between two steps and the words about the outcome. What is done when stands in
``hooks/restore`` and ``restoration``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_byoc.console import endpoint_url
from sagemaker_byoc.endpoint_status import Settled
from sagemaker_byoc.errors import EndpointFailedError, RequestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.restore import LEFT, Restoration
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.request import require_text
from sagemaker_byoc.restoration import Deployed, RestoreGoal
from sagemaker_byoc.restore_point import RestorePoint
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.triggers.endpoint import EndpointTrigger
from sagemaker_byoc.triggers.watch import look_until_on_worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

    from airflow.sdk import Context, XComArg

__all__ = ["RestoreEndpointOperator", "restore"]


class RestoreEndpointOperator(BaseOperator):
    """Let an endpoint serve an earlier configuration again, and wait until it does.

    Says what shall serve either by ``deployment`` (what was live before it), or by ``endpoint_name`` with
    ``endpoint_config_name`` or ``restore_point``. Models and configuration that were deleted meanwhile are made again
    from the restore point. An endpoint that was deleted is created again, one that is Failed is deleted first; such a
    new endpoint has the tags of this run, and no scaling policies. If the endpoint is busy, that is waited for.

    The task is skipped, and says so, when there is nothing to do: the configuration is live already, the deployment did
    not take place or was the first one, or a later deployment came after it, which is left alone. Without
    ``deployment``, whatever is live is replaced.

    Returns ``{"endpoint_name", "endpoint_config_name", "operation"}``, the operation being ``update``, ``create`` or
    ``adopt`` (an earlier try of this task began it).

    :param deployment: the result of ``CreateEndpointOperator``, or its JSON (templated)
    :param endpoint_name: the endpoint, if it is not that of the deployment (templated)
    :param endpoint_config_name: the configuration that shall be live (templated)
    :param restore_point: the member of that name of what ``CreateEndpointOperator`` returns, or its JSON; None takes
        what exists on AWS now (templated)
    :param deferrable: wait in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at the endpoint
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "deployment",
        "endpoint_name",
        "endpoint_config_name",
        "restore_point",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"deployment": "json", "restore_point": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (EndpointLink(),)
    ui_color = "#f8cecc"

    def __init__(
        self,
        *,
        deployment: dict[str, Any] | str | XComArg | None = None,
        endpoint_name: str | None = None,
        endpoint_config_name: str | XComArg | None = None,
        restore_point: dict[str, Any] | str | XComArg | None = None,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deployment = deployment
        self.endpoint_name = endpoint_name
        self.endpoint_config_name = cast("str | None", endpoint_config_name)  # rendered before it is used
        self.restore_point = restore_point
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        if deployment is None and endpoint_name is None:
            raise RequestError("deployment", None, "the result of create_endpoint, or give endpoint_name")

    def execute(self, context: Context) -> dict[str, Any]:
        """Find out what shall serve, and do what it takes."""
        with fail_fast():
            goal, _ = self._wanted()
            return self._restore(context, goal, "")

    def execute_complete(
        self, context: Context, event: dict[str, Any], goal: dict[str, Any], sent: str
    ) -> dict[str, Any]:
        """Go on after a wait.

        :param goal: the fields of ``RestoreGoal``
        :param sent: what the endpoint was told before the wait
        """
        with fail_fast():
            if "error" in event:
                raise EndpointFailedError(event["error"])
            return self._restore(context, RestoreGoal(**goal), sent)

    def _restore(self, context: Context, goal: RestoreGoal, sent: str) -> dict[str, Any]:
        connection, tags = AwsConnection.of(self), RunIdentity.of(context).tags()
        EndpointLink().push(context, endpoint_url(connection.region, goal.endpoint_name))
        restoration = Restoration(connection, goal, self._wanted()[1], self.log, tags=tags, sent=sent)
        result = restore(self, restoration, timeout=self.execution_timeout)
        if result["operation"] in ("none", LEFT):
            raise AirflowSkipException(_nothing_done(result))
        self.log.info("Endpoint %(endpoint_name)s serves %(endpoint_config_name)s again.", result)
        return result

    def _wanted(self) -> tuple[RestoreGoal, RestorePoint | None]:
        """Return what shall serve, and from what it can be made again; the explicit parameters win.

        :raises RequestError: it is not said what shall serve
        :raises AirflowSkipException: there is nothing to go back to
        """
        deployed, point = Deployed.of(self.deployment), RestorePoint.of(self.restore_point)
        if deployed is None and self.endpoint_name is None:
            raise AirflowSkipException("Nothing was deployed, so nothing is put back.")
        config_name = self.endpoint_config_name or (point.config_name if point else None)
        if deployed is not None and config_name is None:
            return self._way_back(deployed), point or deployed.point
        name = self.endpoint_name or (deployed.endpoint_name if deployed else None)
        allowed = "the name of the configuration that shall be live, unless a restore_point or a deployment is given"
        goal = RestoreGoal(
            require_text(name, "endpoint_name", "the name of the endpoint"),
            require_text(config_name, "endpoint_config_name", allowed),
            deployed.config_name if deployed else None,
            deployed.retain if deployed else {},
            deployed.promoted_config if deployed else None,
        )
        if point is not None and point.config_name != goal.config_name:
            raise RequestError(
                "endpoint_config_name", goal.config_name, f"that of the restore point, {point.config_name}"
            )
        return goal, point

    def _way_back(self, deployed: Deployed) -> RestoreGoal:
        goal = deployed.way_back
        if goal is None:
            message = f"Endpoint {deployed.endpoint_name} served nothing before this deployment: nothing is put back."
            raise AirflowSkipException(message)
        return replace(goal, endpoint_name=self.endpoint_name or goal.endpoint_name)


def restore(
    operator: Any,
    restoration: Restoration,
    *,
    timeout: timedelta | None = None,
    **kept: Any,
) -> dict[str, Any]:
    """Do step after step until the restoration is over; between steps, wait as the operator says.

    A wait in the triggerer goes on in the operator's ``execute_complete``, which gets ``goal``, ``sent`` and ``kept``.

    :param operator: with ``deferrable``, ``poll_interval_seconds`` and the parameters of the connection
    :param timeout: of each wait in the triggerer
    :return: what ``Restoration.advance`` says at the end
    """
    goal = restoration.goal
    while (result := restoration.advance()) is None:
        if not operator.deferrable:
            settled = Settled(goal.config_name)
            pause_seconds = operator.poll_interval_seconds
            look_until_on_worker(settled, restoration.look, interval_seconds=pause_seconds, log=operator.log)
            continue
        trigger = EndpointTrigger(
            endpoint=goal.endpoint_name,
            endpoint_config_name=goal.config_name,
            **AwsConnection.of(operator).serialize(),
            poll_interval_seconds=operator.poll_interval_seconds,
        )
        kwargs = {"goal": goal.as_json(), "sent": restoration.sent, **kept}
        operator.defer(trigger=trigger, method_name="execute_complete", kwargs=kwargs, timeout=timeout)
    return result


def _nothing_done(result: dict[str, Any]) -> str:
    name, config_name = result["endpoint_name"], result["endpoint_config_name"]
    if result["operation"] == LEFT:
        return f"Endpoint {name} has {config_name}, of a later deployment, which is left alone: nothing is put back."
    return f"Endpoint {name} serves {config_name} already: nothing has to be put back."
