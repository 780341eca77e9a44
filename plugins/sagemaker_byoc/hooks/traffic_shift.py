"""Moves the traffic of an endpoint to a candidate, step by step.

Owns the doing of each step, the first look at what CloudWatch says, and the withdrawal of the traffic when that is too
much, or when nobody can go on. Every step begins with a look, so that another try goes on wherever an earlier one
ended. Which step is next is decided in ``traffic_shift``; waiting between them is the caller's. Knows nothing of tasks,
deferral or templates.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.config_history import FAILED, PROMOTION, SMOKE_TEST
from sagemaker_byoc.errors import (
    EndpointFailedError,
    EndpointGoneError,
    EndpointRolledBackError,
    EndpointSupersededError,
    TrafficShiftError,
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

__all__ = ["BREACH", "LOST", "TrafficShift"]

BREACH = "breach"
"""The member of a shift's result that tells why the candidate has to go."""

LOST = (EndpointGoneError, EndpointRolledBackError, EndpointSupersededError)
"""Ends after which the endpoint has nothing of the candidate's, so that it is left alone."""

_LATE_SECONDS = 60
"""For how long AWS may answer with the state from before an update that it has accepted."""

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
        steps: Sequence[float] = (100.0,),
        bake_seconds: float = 0.0,
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
        self._promoted_from: datetime | None = None
        self._first_seen: datetime | None = None
        self._breach = ""

    def interrupted(self) -> str:
        """Return why an earlier try had begun to go back; empty when none had."""
        look = self._hook.look(self._deployed.endpoint_name)
        if look is None or look.target_config not in (self._plan.combined, self._deployed.previous_config):
            return ""
        return self._verdict()

    def _verdict(self) -> str:
        return _told_earlier(self._configs.tags(self._plan.combined).get(SMOKE_TEST, ""))

    def advance(self) -> dict[str, Any] | None:
        """Look, and do the next step.

        :return: ``endpoint_name``, ``endpoint_config_name`` (the final one) and ``operation`` (``shift``), or
            ``{"breach": why}`` when the candidate missed a limit, or the endpoint did not take the final configuration,
            and it has no traffic any more; None when one has to call again after a pause
        :raises EndpointGoneError: somebody deleted the endpoint
        :raises EndpointRolledBackError: the endpoint serves the earlier configuration
        :raises EndpointSupersededError: another deployment came
        :raises EndpointFailedError: it does not serve
        """
        look = self._hook.traffic(self._deployed.endpoint_name)
        step, measured = next_shift_step(look, self._plan), Measured()
        if look is None or step is ShiftStep.LOST:
            raise self._loss(look)
        if look.endpoint.pending_config == self._plan.final:
            # by this wait, an earlier try, or the same wait in another triggerer
            self._promoted_from = look.modified
        if step in (ShiftStep.SHIFT, ShiftStep.BAKE, ShiftStep.PROMOTE):
            if story := self._taken_back(look):
                return self._withdraw(look, story)
            measured = self._measured(look)
            if story := self._objection(look, measured):
                return self._withdraw(look, story)
            step = next_shift_step(look, self._plan, enough=self._tolerance.says_enough(measured))
        if step is ShiftStep.DONE:
            return self._result()
        if step is ShiftStep.SHIFT:
            self._shift(look, measured)
        elif step is ShiftStep.PROMOTE:
            self._promote(look, measured)
        return None

    def break_off(self, why: str) -> dict[str, Any]:
        """Take the traffic away from a candidate that nobody will watch any more, as far as AWS allows.

        Nothing is done without a look that says whose endpoint it is by now.

        :return: as ``advance`` does at the end: the shift may be through all the same
        :raises TrafficShiftError: the endpoint is being given the final configuration, which the candidate has earned;
            or somebody has deleted it, and it is left alone
        """
        name, story = self._deployed.endpoint_name, why
        try:
            look = self._hook.traffic(name)
            step = next_shift_step(look, self._plan)
            if look is not None and step in (ShiftStep.SHIFT, ShiftStep.BAKE, ShiftStep.PROMOTE):
                story = self._noted(why)
                self._take_away(look)
        except Exception as error:  # noqa: BLE001 - the configuration may be put back all the same
            self._log.warning("The traffic of the candidate on endpoint %s could not be taken away: %s", name, error)
            return {BREACH: story}
        if step is ShiftStep.DONE:
            return self._result()
        if look is None or look.endpoint.status == "Deleting":
            raise TrafficShiftError(f"{why}\n{self._loss(look)}", put_back=True)
        if look.endpoint.pending_config == self._plan.final:
            message = f"{why}\nEndpoint {name} is being given {self._plan.final}: clear this task to see it through."
            raise TrafficShiftError(message)
        return {BREACH: story}

    def _noted(self, why: str) -> str:
        """Return why the shift is over, after the verdict that there was already; note it where there was none."""
        try:
            verdict = self._verdict()
        except Exception:  # noqa: BLE001 - the traffic matters more than what is known about it
            verdict = ""
        if verdict:
            return f"{verdict}\n{why}"
        self._note(why)
        return why

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

    def _promote(self, look: TrafficLook, measured: Measured) -> None:
        """Give the candidate the endpoint; the earlier variants and their instances go.

        That it was told so is noted, since what AWS takes back looks as if it had never been.
        """
        if self._promoted_from is not None:
            return
        tags = self._configs.tags(self._plan.combined)
        if begun := tags.get(PROMOTION):
            # the looks that follow tell whether it is on its way or was taken back
            self._promoted_from = datetime.fromisoformat(begun)
            return
        verdict = tags.get(SMOKE_TEST, "")
        self._breach = _told_earlier(verdict)
        if self._breach:
            # by the same wait in another triggerer, which did not come to take the traffic away
            return
        self._log.info("All of the traffic was the candidate's: %s.%s", measured, self._doubt(measured))
        ensure_config(self._configs, self._candidate.final_config, self._deployed.previous_config, verdict)
        if self._hook.update(self._candidate.promotion):
            self._promoted_from = look.modified
            self._configs.note(self._plan.combined, verdict, also={PROMOTION: look.modified.isoformat()})
            self._log.info("The endpoint is being given %s.", self._plan.final)

    def _doubt(self, measured: Measured) -> str:
        return "" if self._tolerance.says_enough(measured) else " That is too little to judge by, and it goes on."

    def _taken_back(self, look: TrafficLook) -> str:
        """Return that AWS took a promotion back; empty when it did not, as far as this look tells.

        Two fleets would go on costing, with all of the traffic at a model that the registry does not know as proven.
        AWS may answer with the state from before the update, which was changed no later than that; that a change back
        counts is a guess, so that a minute of such answers is enough as well.
        """
        if self._promoted_from is None:
            return ""
        self._first_seen = self._first_seen or look.seen
        if look.modified <= self._promoted_from and (look.seen - self._first_seen).total_seconds() < _LATE_SECONDS:
            return ""
        reason = look.endpoint.failure_reason or "no reason given"
        return (
            f"The update of endpoint {self._deployed.endpoint_name} to {self._plan.final} failed, and AWS put "
            f"{self._plan.combined} back, where the candidate had {self._plan.share(look):g}% of the traffic. AWS "
            f"says: {reason}"
        )

    def _withdraw(self, look: TrafficLook, story: str) -> dict[str, Any] | None:
        """Take the traffic away from the candidate at once; None when the endpoint is too busy for that.

        The verdict is noted first, so that no later try begins the shift again.
        """
        if self._plan.share(look):
            self._note(story)
            if not self._take_away(look):
                self._breach = story
                return None
            self._log.error("%s The candidate gets no traffic any more.", story)
        return {BREACH: story}

    def _take_away(self, look: TrafficLook) -> bool:
        """Leave the candidate no traffic; False when the endpoint is too busy for that."""
        if not self._plan.share(look):
            return True
        return self._hook.shift(self._deployed.endpoint_name, self._plan.shift(0.0))

    def _note(self, story: str) -> None:
        """Keep why the shift is over; the final configuration, if it was made, is not live, whatever its test said."""
        self._configs.note(self._plan.final, f"{_FAILED}{story}")
        # From now on the verdict says enough; a person who has the candidate tested again means a new begin.
        self._configs.note(self._plan.combined, f"{_FAILED}{story}", also={PROMOTION: ""})

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


def _told_earlier(verdict: str) -> str:
    """Return why the shift is over, if that is what was noted."""
    return f"An earlier try ended so: {verdict}" if verdict.startswith(_FAILED) else ""
