"""Waits until an endpoint serves what was asked for.

Owns the deferral and the telling of failures. What a look means is decided in ``endpoint_status``.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseSensorOperator, PokeReturnValue
from airflow.sdk.exceptions import AirflowSensorTimeout

from sagemaker_byoc.endpoint_status import DeploymentGoal, EndpointLook, Settled, Verdict, judge
from sagemaker_byoc.errors import EndpointFailedError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_end import finish
from sagemaker_byoc.links import EndpointLink, LogLink, push_endpoint
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.sensors.without_worker import DecidedLate, ends_in_triggerer, first_limit, start_args
from sagemaker_byoc.state_change import check_queue_literal
from sagemaker_byoc.triggers.endpoint import EndpointTrigger

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, XComArg
    from airflow.triggers.base import StartTriggerArgs

__all__ = ["EndpointSensor"]

_UNLIMITED = timedelta(days=365)
"""What Airflow's sensor counts to when the user sets no limit; AWS ends every deployment long before."""


class EndpointSensor(BaseSensorOperator):
    """Wait until the endpoint is InService **with the configuration that was asked for**.

    An update that fails leaves the endpoint InService with what it served before; this sensor tells that apart and
    fails with AWS's reason and the last lines that the containers wrote, those of the fleet that serves as before left
    out. Killing the task stops nothing: AWS has no call that ends an update. There is no time limit but ``timeout``,
    if given. Of a candidate, its own configuration will do as well, which it gets when it is promoted: the task may be
    cleared after that.

    Returns ``{"endpoint_name", "endpoint_config_name"}``, the configuration being the live one.

    :param endpoint: the result of ``CreateEndpointOperator`` (``create_endpoint.output``), or the endpoint's name
        (templated)
    :param endpoint_config_name: the configuration that must be live, when ``endpoint`` is a name (templated)
    :param previous_endpoint_config_name: what was live before, so that a rollback is told apart from another
        deployment (templated)
    :param deferrable: wait in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at what has changed, which the waits in one triggerer share;
        there a second at least
    :param event_queue_url: SQS queue to which EventBridge sends state changes (``include/events``), so that the end is
        seen within a second or so; None polls only (templated; empty counts as None)
    :param log_lines: how many of the containers' last lines a failure shows
    :param timeout: seconds, or a timedelta, after which the wait fails; None waits as long as the deployment takes
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "endpoint",
        "endpoint_config_name",
        "previous_endpoint_config_name",
        "event_queue_url",
        "aws_conn_id",
        "region_name",
    )
    operator_extra_links = (EndpointLink(), LogLink())
    ui_color = "#d5e8d4"

    TRIGGER = "sagemaker_byoc.triggers.endpoint.EndpointTrigger"
    AS_JSON = ("endpoint",)
    start_trigger_args = cast("StartTriggerArgs | None", DecidedLate(start_args, of_class=None))
    start_from_trigger = cast("bool", DecidedLate(lambda sensor: start_args(sensor) is not None, of_class=False))

    def __init__(
        self,
        *,
        endpoint: Any,
        endpoint_config_name: str | None = None,
        previous_endpoint_config_name: str | None = None,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        event_queue_url: str | XComArg | None = None,
        log_lines: int = 20,
        timeout: timedelta | float | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("poke_interval", poll_interval_seconds)
        super().__init__(timeout=_UNLIMITED if timeout is None else timeout, **kwargs)
        self.endpoint = endpoint
        self.endpoint_config_name = endpoint_config_name
        self.previous_endpoint_config_name = previous_endpoint_config_name
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.event_queue_url = cast("str | None", event_queue_url)  # rendered before it is used
        self.log_lines = log_lines
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        check_queue_literal(event_queue_url)

    def execute(self, context: Context) -> Any:
        """Wait in the triggerer, or look again and again from here."""
        with fail_fast():
            goal = self._goal
            push_endpoint(context, self._connection.region, goal.endpoint_name)
            if not self.deferrable:
                return super().execute(context)
            look = EndpointHook(self._connection).look(goal.endpoint_name)
            if judge(look, goal) is Verdict.LIVE:
                return self._finish(look)
            self._defer()
        return None

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Look once, and once more at an end that was not hoped for.

        Both belong to one poke, since with ``mode="reschedule"`` nothing is remembered from poke to poke.
        """
        with fail_fast():
            goal = self._goal
            hook, settled = EndpointHook(self._connection), Settled(*goal.config_names)
            look = hook.look(goal.endpoint_name)
            done = settled(look)
            if not done and not (look and look.changing):
                time.sleep(self.poll_interval_seconds)
                look = hook.look(goal.endpoint_name)
                done = settled(look)
            return PokeReturnValue(is_done=done, xcom_value=self._finish(look) if done else None)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Judge what the trigger saw."""
        if "begin_again" in event:
            return self.execute(context)
        with fail_fast():
            if "error" in event:
                raise EndpointFailedError(event["error"])
            return self._finish(EndpointLook(**event["look"]) if event["look"] else None)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Say what the end of the wait leaves behind when its time is over."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except AirflowSensorTimeout as error:
            name = self._goal.endpoint_name
            word, limit = first_limit(self)
            message = f"Endpoint {name} was not ready after {limit} ({word}). Its deployment goes on."
            raise AirflowSensorTimeout(message) from error

    def _finish(self, look: EndpointLook | None) -> dict[str, Any]:
        goal = self._goal
        result = finish(self._connection, look, goal, log_lines=self.log_lines)
        self.log.info("Endpoint %(endpoint_name)s serves %(endpoint_config_name)s.", result)
        return result

    def _defer(self) -> None:
        goal = self._goal
        # Names alone: Airflow renders a trigger's fields, and a restore point may hold a model's braces.
        names = {
            "endpoint": goal.endpoint_name,
            "endpoint_config_name": goal.config_name,
            "previous_endpoint_config_name": goal.previous_config_name,
            "promoted_config_name": goal.promoted_config_name,
        }
        trigger = EndpointTrigger(**{**self.trigger_fields(), **names})
        self.defer(trigger=trigger, method_name="execute_complete", timeout=first_limit(self)[1])

    def trigger_fields(self) -> dict[str, Any]:
        """Return what the trigger is made of."""
        return {
            "endpoint": self.endpoint,
            "endpoint_config_name": self.endpoint_config_name,
            "previous_endpoint_config_name": self.previous_endpoint_config_name,
            **self._connection.serialize(),
            "poll_interval_seconds": self.poll_interval_seconds,
            "event_queue_url": self.event_queue_url,
            "log_lines": self.log_lines,
            "ends_task_on": ends_in_triggerer(self),
        }

    @property
    def _goal(self) -> DeploymentGoal:
        return DeploymentGoal.of(self.endpoint, self.endpoint_config_name, self.previous_endpoint_config_name)

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)
