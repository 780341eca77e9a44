"""Shifts an endpoint's traffic from the triggerer.

Owns the rhythm alone. What is done at each look stands in ``hooks/traffic_shift``: here, and not on a worker, so that a
candidate that fails under traffic loses it before a worker would have started.
"""

from __future__ import annotations

import contextvars
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.traffic_shift import LOST, TrafficShift
from sagemaker_byoc.restoration import Deployed
from sagemaker_byoc.traffic_shift import Tolerance
from sagemaker_byoc.triggers.watch import look_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from sagemaker_byoc.candidate import Candidate

__all__ = ["TrafficShiftTrigger"]


class TrafficShiftTrigger(BaseTrigger):
    """Fire once when the candidate has the endpoint, or has lost its traffic.

    The event is ``{"result": what the task returns or {"breach": why}}``, or ``{"error": text, "lost": flag}`` when no
    further look would succeed; it is lost when the endpoint has nothing of the candidate's. When the trigger is killed,
    the traffic stays where it is: a wait that was given to another triggerer could not be told from one that nobody
    wants any more.

    :param deployment: what ``CreateEndpointOperator`` returns, with a candidate
    :param steps: shares in percent, ascending
    :param bake_seconds: how long each step is watched
    :param tolerance: the fields of ``Tolerance``
    :param connection: how AWS is reached, as ``AwsConnection.serialize`` tells it
    :param poll_interval_seconds: pause between two looks, or up to a fifth less
    """

    def __init__(
        self,
        *,
        deployment: Mapping[str, Any],
        steps: Sequence[float],
        bake_seconds: float,
        tolerance: Mapping[str, Any],
        connection: Mapping[str, Any],
        poll_interval_seconds: float = 10.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.deployment = deployment
        self.steps = steps
        self.bake_seconds = bake_seconds
        self.tolerance = tolerance
        self.connection = connection
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.traffic_shift.TrafficShiftTrigger",
            {
                "deployment": dict(self.deployment),
                "steps": list(self.steps),
                "bake_seconds": self.bake_seconds,
                "tolerance": dict(self.tolerance),
                "connection": dict(self.connection),
                "poll_interval_seconds": self.poll_interval_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Shift, then fire."""
        try:
            shift = self._shift()
            # Airflow finds the task's log by what is bound here, and a thread would not have it.
            context = contextvars.copy_context()
            result = await look_until(
                lambda result: result is not None,
                lambda: context.run(shift.advance),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
            payload: dict[str, Any] = {"result": result}
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            payload = {"error": str(error), "lost": isinstance(error, LOST)}
        yield TriggerEvent(payload)

    def _shift(self) -> TrafficShift:
        deployed: Any = Deployed.of(self.deployment)
        candidate: Candidate = deployed.candidate
        return TrafficShift(
            AwsConnection(**self.connection),
            deployed,
            candidate,
            Tolerance(**self.tolerance),
            self.log,
            steps=self.steps,
            bake_seconds=self.bake_seconds,
        )
