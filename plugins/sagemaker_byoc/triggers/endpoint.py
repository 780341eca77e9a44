"""Waits for an endpoint to settle.

Owns the wait alone: what the endpoint is then means is decided in ``hooks.endpoint_end``, from here or by the task.
Never stops anything, since AWS has no call that ends an update.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.endpoint_status import DeploymentGoal, EndpointLook, Settled
from sagemaker_byoc.errors import EndpointFailedError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_end import finish
from sagemaker_byoc.links import push_endpoint
from sagemaker_byoc.triggers.task_begin import beginning, is_unrendered, strict_environment
from sagemaker_byoc.triggers.task_end import ending_event
from sagemaker_byoc.triggers.watcher import watching

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

__all__ = ["EndpointTrigger"]


class EndpointTrigger(BaseTrigger):
    """Fire once when the endpoint is in none of its passing states, or is gone.

    The event ends the task, or is ``{"look": {…} | None}`` with the fields of ``EndpointLook``, or ``{"error": text}``
    when no further look would succeed, or ``{"begin_again": True}`` when only a worker can begin the wait.

    The parameters that are template fields of ``EndpointSensor`` have the names that they have there, since Airflow
    renders them here when the wait began without a worker.

    :param endpoint: the endpoint's name, or what ``CreateEndpointOperator`` returns, which may be JSON
    :param endpoint_config_name: fire at once when this configuration is live; another one must be seen twice in a row,
        since AWS may answer with the state from before an update that was accepted a moment ago
    :param previous_endpoint_config_name: what was live before
    :param promoted_config_name: fire at once when this one is live, too
    :param poll_interval_seconds: pause between two looks at what has changed, or up to a fifth less; waits of one
        connection share the looks, and the shortest pause counts
    :param event_queue_url: SQS queue with news of state changes, for a look at once
    :param log_lines: how many of the containers' last lines a failure shows
    :param ends_task_on: which ends of the task may happen here, of ``success`` and ``failure``
    """

    def __init__(
        self,
        *,
        endpoint: str | Mapping[str, Any],
        endpoint_config_name: str | None = None,
        previous_endpoint_config_name: str | None = None,
        promoted_config_name: str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        poll_interval_seconds: float = 5.0,
        event_queue_url: str | None = None,
        log_lines: int = 20,
        ends_task_on: Sequence[str] = (),
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoint = endpoint
        self.endpoint_config_name = endpoint_config_name
        self.previous_endpoint_config_name = previous_endpoint_config_name
        self.promoted_config_name = promoted_config_name
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self.poll_interval_seconds = poll_interval_seconds
        self.event_queue_url = event_queue_url
        self.log_lines = log_lines
        self.ends_task_on = ends_task_on

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.endpoint.EndpointTrigger",
            {
                "endpoint": self.endpoint if isinstance(self.endpoint, str) else dict(self.endpoint),
                "endpoint_config_name": self.endpoint_config_name,
                "previous_endpoint_config_name": self.previous_endpoint_config_name,
                "promoted_config_name": self.promoted_config_name,
                **self.connection.serialize(),
                "poll_interval_seconds": self.poll_interval_seconds,
                "event_queue_url": self.event_queue_url,
                "log_lines": self.log_lines,
                "ends_task_on": list(self.ends_task_on),
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        payload: dict[str, Any] = {}
        look = None
        # What a task returned was put in by a rendering; braces in it are a model's own, as in a chat template.
        endpoint = None if self._is_result else self.endpoint
        if is_unrendered(endpoint, self.endpoint_config_name, self.region_name, self.aws_conn_id):
            yield TriggerEvent({"begin_again": True})
            return
        try:
            name, configs = self._target()
            async with beginning(self, lambda task: push_endpoint(task, self.connection.region, name)):
                look = await self._watch(name, Settled(*configs))
            payload["look"] = look.as_json() if look else None
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            payload["error"] = str(error)
        yield await ending_event(self, lambda: self._result(payload, look), payload, self.ends_task_on)

    async def _watch(self, name: str, settled: Settled) -> EndpointLook | None:
        with watching(
            name,
            self.connection,
            EndpointHook,
            interval_seconds=self.poll_interval_seconds,
            event_queue_url=self.event_queue_url,
        ) as wait:
            while not settled(look := await wait.look(self.log)):
                pass
            return look

    def get_template_env(self, dag: Any = None) -> Any:  # noqa: ARG002 - Airflow's signature
        """Return what Airflow renders the fields with."""
        return strict_environment()

    @property
    def connection(self) -> AwsConnection:
        """How AWS is reached; not before Airflow has rendered the parameters."""
        return AwsConnection.of(self)

    def _target(self) -> tuple[str, tuple[str, ...]]:
        """Return the endpoint's name and the configurations that are waited for; without one, any end will do."""
        endpoint = self._given_endpoint
        if isinstance(endpoint, str) and not self.endpoint_config_name:
            return endpoint, ()
        goal = self._goal
        return goal.endpoint_name, goal.config_names

    @property
    def _is_result(self) -> bool:
        """Whether the endpoint is what a task returned, as a mapping or as JSON, and not a name."""
        if not isinstance(self.endpoint, str):
            return True
        # no name begins like that, and a template not like JSON
        return self.endpoint.startswith(("{", '"')) and not self.endpoint.startswith(("{{", "{%"))

    @property
    def _given_endpoint(self) -> Any:
        return json.loads(self.endpoint) if isinstance(self.endpoint, str) and self._is_result else self.endpoint

    @property
    def _goal(self) -> DeploymentGoal:
        return DeploymentGoal.of(
            self._given_endpoint,
            self.endpoint_config_name,
            self.previous_endpoint_config_name,
            self.promoted_config_name,
        )

    def _result(self, payload: dict[str, Any], look: EndpointLook | None) -> dict[str, Any]:
        if "error" in payload:
            raise EndpointFailedError(payload["error"])
        return finish(self.connection, look, self._goal, log_lines=self.log_lines)
