"""Waits for an endpoint to settle.

Owns the wait alone: the event says what the endpoint is then, and the task decides what that means. Never stops
anything, since AWS has no call that ends an update.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.endpoint_status import Settled
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.triggers.watch import look_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["EndpointTrigger"]


class EndpointTrigger(BaseTrigger):
    """Fire once when the endpoint is in none of its passing states, or is gone.

    The event is ``{"look": {…} | None}`` with the fields of ``EndpointLook``, or ``{"error": text}`` when no further
    look would succeed.

    :param connection: how AWS is reached, as ``AwsConnection.serialize`` tells it
    :param endpoint_name: the endpoint
    :param expected_config: fire at once when this configuration is live; another one must be seen twice in a row,
        since AWS may answer with the state from before an update that was accepted a moment ago
    :param poll_interval_seconds: pause between two looks
    """

    def __init__(
        self,
        *,
        connection: dict[str, Any],
        endpoint_name: str,
        expected_config: str | None = None,
        poll_interval_seconds: float = 5.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.endpoint_name = endpoint_name
        self.expected_config = expected_config
        self.poll_interval_seconds = poll_interval_seconds
        self.connection = AwsConnection(**connection)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.endpoint.EndpointTrigger",
            {
                "connection": self.connection.serialize(),
                "endpoint_name": self.endpoint_name,
                "expected_config": self.expected_config,
                "poll_interval_seconds": self.poll_interval_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        hook = EndpointHook(self.connection)
        try:
            look = await look_until(
                Settled(self.expected_config),
                lambda: hook.look(self.endpoint_name),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            yield TriggerEvent({"error": str(error)})
            return
        yield TriggerEvent({"look": look.as_json() if look else None})
