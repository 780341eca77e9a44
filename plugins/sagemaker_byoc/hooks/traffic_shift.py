"""Moves the traffic of an endpoint to a candidate, step by step.

Owns the doing of each step, the first look at what CloudWatch says, and the withdrawal of the traffic when that is too
much. Every step begins with a look, so that another try goes on wherever an earlier one ended. Which step is next is
decided in ``traffic_shift``; waiting between them is the caller's. Knows nothing of tasks, deferral or templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.config_history import FAILED, SMOKE_TEST
from sagemaker_byoc.errors import (
    EndpointFailedError,
    EndpointGoneError,
    EndpointRolledBackError,
    EndpointSupersededError,
)
from sagemaker_byoc.hooks.deployment import ensure_config
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.endpoint_metric import EndpointMetricHook
from sagemaker_byoc.traffic_shift import Measured, ShiftStep, TrafficPlan, next_shift_step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk.types import Logger

    from sagemaker_byoc.candidate import Candidate
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.restoration import Deployed
    from sagemaker_byoc.traffic_shift import Tolerance, TrafficLook

__all__ = ["BREACH", "TrafficShift"]

BREACH = "breach"
"""The member of a shift's result that tells why the candidate has to go."""

_FAILED = f"{FAILED}: traffic shift: "
"""Begin of the verdict on a combined configuration whose candidate missed a limit under traffic."""


class TrafficShift:
    """An endpoint on its way from the live variants to the candidate's.

    :param deployed: with a candidate
    """

    def __init__(
        self,
        connection: AwsConnection,
        deployed: Deployed,
        candidate: Candidate,
        tolerance: Tolerance,
        log: Logger,
        *,
        steps: Sequence[float],
        bake_seconds: float,
    ) -> None:
        self._connection = connection
        self._hook = EndpointHook(connection)
        self._configs = EndpointConfigHook(connection)
        self._deployed = deployed
        self._candidate = candidate
        self._tolerance = tolerance
        self._log = log
        self._plan = TrafficPlan(
            combined=deployed.config_name,
            final=candidate.final_name,
            weights=candidate.live,
            candidate=candidate.weights,
            steps=steps,
            bake_seconds=bake_seconds,
        )
        self._looks_since_promotion: int | None = None
        self._breach = ""

    def interrupted(self) -> str:
        """Return why an earlier try had begun to go back; empty when none had."""
        look = self._hook.look(self._deployed.endpoint_name)
        if look is None or look.target_config not in (self._plan.combined, self._deployed.previous_config):
            return ""
        return self._verdict()

    def _verdict(self) -> str:
        verdict = self._configs.tags(self._plan.combined).get(SMOKE_TEST, "")
        return f"An earlier try ended so: {verdict}" if verdict.startswith(_FAILED) else ""

    def advance(self) -> dict[str, Any] | None:
        """Look, and do the next step.

        :return: ``endpoint_name``, ``endpoint_config_name`` (the final one) and ``operation`` (``shift``), or
            ``{"breach": why}`` when the candidate missed a limit and has no traffic any more; None when one has to call
            again after a pause
        :raises EndpointGoneError: somebody deleted the endpoint
        :raises EndpointRolledBackError: the endpoint does not take the final configuration, or serves the earlier one
        :raises EndpointSupersededError: another deployment came
        :raises EndpointFailedError: it does not serve
        """
        look = self._hook.traffic(self._deployed.endpoint_name)
        step, measured = next_shift_step(look, self._plan), Measured()
        if look is None or step is ShiftStep.LOST:
            raise self._loss(look)
        if step in (ShiftStep.SHIFT, ShiftStep.BAKE, ShiftStep.PROMOTE):
            measured = self._measured(look)
            if story := self._objection(look, measured):
                return self._withdraw(look, story)
            step = next_shift_step(look, self._plan, enough=self._tolerance.says_enough(measured))
        self._check_promotion(look, step)
        if step is ShiftStep.DONE:
            return self._result()
        if step is ShiftStep.SHIFT:
            self._shift(look, measured)
        elif step is ShiftStep.PROMOTE:
            self._promote(measured)
        return None

    def _objection(self, look: TrafficLook, measured: Measured) -> str:
        """Return why the candidate must have no traffic; empty when nothing is against it.

        Before the first step that is the verdict of an earlier try, or of the same wait in another triggerer.
        """
        if self._breach:
            return self._breach
        share = self._plan.share(look)
        if not share:
            return self._verdict()
        why = self._tolerance.breach(measured)
        if not why:
            return ""
        where = f"step {self._plan.number(share)} of {len(self._plan.steps)} ({share:g}% of the traffic)"
        return f"Endpoint {self._deployed.endpoint_name} at {where}: {why}."

    def _measured(self, look: TrafficLook) -> Measured:
        if not self._plan.share(look):
            return Measured()
        variants = list(self._plan.candidate)
        metrics = EndpointMetricHook(self._connection)
        return metrics.measured(self._deployed.endpoint_name, variants, look.modified, look.seen)

    def _shift(self, look: TrafficLook, measured: Measured) -> None:
        share = self._plan.share(look)
        percent = self._plan.steps[self._plan.number(share)]
        if share:
            self._log.info("%g%% is over: %s.%s", share, measured, self._doubt(measured))
        if self._hook.shift(self._deployed.endpoint_name, self._plan.shift(percent)):
            self._log.info("%s gets %g%% of the traffic.", ", ".join(self._plan.candidate), percent)

    def _promote(self, measured: Measured) -> None:
        """Give the candidate the endpoint; the earlier variants and their instances go."""
        self._log.info("All of the traffic was the candidate's: %s.%s", measured, self._doubt(measured))
        verdict = self._configs.tags(self._plan.combined).get(SMOKE_TEST, "")
        ensure_config(self._configs, self._candidate.final_config, self._deployed.previous_config, verdict)
        if self._hook.update(self._candidate.promotion):
            self._looks_since_promotion = 0
            self._log.info("The endpoint is being given %s.", self._plan.final)

    def _doubt(self, measured: Measured) -> str:
        return "" if self._tolerance.says_enough(measured) else " That is too little to judge by, and it goes on."

    def _check_promotion(self, look: TrafficLook, step: ShiftStep) -> None:
        """See that a promotion that AWS took back is not begun again for ever.

        The combined configuration has to be seen twice, since AWS may answer with the state from before the update.
        """
        if self._looks_since_promotion is None or step not in (ShiftStep.BAKE, ShiftStep.PROMOTE):
            return
        self._looks_since_promotion += 1
        if self._looks_since_promotion > 1:
            reason = look.endpoint.failure_reason or "no reason given"
            message = (
                f"The update of endpoint {self._deployed.endpoint_name} to {self._plan.final} failed, and AWS put "
                f"{self._plan.combined} back, where the candidate has {self._plan.share(look):g}% of the traffic. AWS "
                f"says: {reason} Clear this task to try again."
            )
            raise EndpointRolledBackError(message)

    def _withdraw(self, look: TrafficLook, story: str) -> dict[str, Any] | None:
        """Take the traffic away from the candidate at once; None when the endpoint is too busy for that.

        The verdict is noted first, so that no later try begins the shift again.
        """
        if self._plan.share(look):
            self._note(story)
            if not self._hook.shift(self._deployed.endpoint_name, self._plan.shift(0.0)):
                self._breach = story
                return None
            self._log.error("%s The candidate gets no traffic any more.", story)
        return {BREACH: story}

    def _note(self, story: str) -> None:
        self._configs.note(self._plan.combined, f"{_FAILED}{story}")

    def _result(self) -> dict[str, Any]:
        name, config_name = self._deployed.endpoint_name, self._plan.final
        return {"endpoint_name": name, "endpoint_config_name": config_name, "operation": "shift"}

    def _loss(self, look: TrafficLook | None) -> Exception:
        """Return what to say of an endpoint that the traffic can not be shifted on any more."""
        name = self._deployed.endpoint_name
        if look is None or look.endpoint.status == "Deleting":
            return EndpointGoneError(f"Endpoint {name} does not exist any more: somebody deleted it.")
        live = look.endpoint.live_config
        if look.endpoint.status != "InService":
            reason = look.endpoint.failure_reason or "no reason given"
            return EndpointFailedError(f"Endpoint {name} is {look.endpoint.status} with {live}: {reason}")
        if live == self._deployed.previous_config:
            message = f"Endpoint {name} serves {live} again, which was live before: there is no candidate to shift to."
            return EndpointRolledBackError(message)
        message = f"Endpoint {name} serves {live} instead of {self._plan.combined}: another deployment came."
        return EndpointSupersededError(message)
