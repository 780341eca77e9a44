"""Gives an endpoint back what it served before, step by step.

Owns the doing of each step. Every step begins with a look, so that another try goes on wherever an earlier one ended.
Which step is next is decided in ``restoration``; waiting between them is the caller's. Knows nothing of tasks, deferral
or templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RestoreError
from sagemaker_byoc.hooks.endpoint import EndpointHook, mix_explained
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.model import ModelHook
from sagemaker_byoc.hooks.restore_point import take_restore_point
from sagemaker_byoc.restoration import RestoreGoal, RestoreStep, is_on_its_way, next_restore_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk.types import Logger

    from sagemaker_byoc.endpoint_status import EndpointLook
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.restore_point import RestorePoint

__all__ = ["LEFT", "Restoration"]

LEFT = "left"
"""The operation of a restoration that found a later deployment, which it left alone."""


class Restoration:
    """An endpoint on its way back.

    :param point: from which configuration and models are made again, should they be gone; None takes one when it is
        needed
    :param tags: of the endpoint, if it has to be created again
    :param sent: what the endpoint was told before: ``update`` or ``create`` by this restoration, ``adopt`` by an
        earlier try; empty for nothing
    """

    def __init__(
        self,
        connection: AwsConnection,
        goal: RestoreGoal,
        point: RestorePoint | None,
        log: Logger,
        *,
        tags: Sequence[dict[str, str]] = (),
        sent: str = "",
    ) -> None:
        self._connection = connection
        self._hook = EndpointHook(connection)
        self.goal = goal
        self._point = point
        self._log = log
        self._tags = list(tags)
        self.sent = sent

    def advance(self) -> dict[str, Any] | None:
        """Look, and do the next step.

        :return: ``endpoint_name``, ``endpoint_config_name`` (which is live) and ``operation`` (``update``, ``create``,
            ``adopt``: an earlier try began it, ``none``: it served already, ``left``: a later deployment was left
            alone); None when one has to call again after the endpoint has settled
        :raises NoWayBackError: there is nothing to go back to
        :raises RestoreError: the endpoint did not take the configuration
        :raises EndpointRollbackFailedError: it serves a mix that AWS does not let become whole
        """
        look = self.look()
        if is_on_its_way(look, self.goal):
            self.sent = self.sent or "adopt"
        step = next_restore_step(look, self.goal, sent=bool(self.sent))
        self._log.info("Endpoint %s is %s: %s.", self.goal.endpoint_name, _state(look), step.value)
        if step is RestoreStep.DONE:
            return self._result(look, self.sent or "none")
        if step is RestoreStep.LEAVE:
            return self._result(look, LEFT)
        if step is RestoreStep.FAILED:
            raise RestoreError(self._failure(look))
        self._do(step, look)
        return None

    def look(self) -> EndpointLook | None:
        """Look at the endpoint."""
        return self._hook.look(self.goal.endpoint_name)

    def _do(self, step: RestoreStep, look: EndpointLook | None) -> None:
        if step is RestoreStep.WAIT:
            return
        # before a deletion, too: what could not be created again must not be deleted
        self._make_again()
        name = self.goal.endpoint_name
        request = {"EndpointName": name, "EndpointConfigName": self.goal.config_name}
        if step is RestoreStep.DELETE:
            self._hook.delete(name)
            return
        if step is RestoreStep.CREATE:
            taken = self._hook.create({**request, "Tags": self._tags})
        else:
            # of a fleet that does not serve as it should, the size says nothing
            serves = look is not None and look.status == "InService"
            with mix_explained(look, self.goal.config_name):
                taken = self._hook.update({**request, **(self.goal.retain if serves else {})})
        if taken:
            self.sent = step.value

    def _make_again(self) -> None:
        """See to it that the configuration and its models are there."""
        if self._point is None:
            self._point = take_restore_point(self._connection, self.goal.config_name)
        models, configs = ModelHook(self._connection), EndpointConfigHook(self._connection)
        for request in self._point.models:
            if models.describe(request["ModelName"]) is None and models.ensure(request):
                self._log.warning("The model %s was gone and has been made again.", request["ModelName"])
        if configs.describe(self._point.config_name) is None and configs.ensure(self._point.config):
            self._log.warning("The endpoint configuration %s was gone and has been made again.", self.goal.config_name)

    def _result(self, look: EndpointLook | None, operation: str) -> dict[str, Any]:
        return {
            "endpoint_name": self.goal.endpoint_name,
            "endpoint_config_name": look.live_config if look is not None else None,
            "operation": operation,
        }

    def _failure(self, look: EndpointLook | None) -> str:
        reason = look.failure_reason if look is not None else ""
        return (
            f"Endpoint {self.goal.endpoint_name} did not take {self.goal.config_name} back: it is {_state(look)}."
            f"{f' AWS says: {reason}' if reason else ''}"
        )


def _state(look: EndpointLook | None) -> str:
    if look is None:
        return "gone"
    return f"{look.status} with {look.live_config}"
