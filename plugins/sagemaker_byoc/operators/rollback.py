"""What follows a smoke test that failed: the endpoint gets back what it served before.

Owns the order: note the verdict, go back, ask the restored model, and fail with the whole story. How an endpoint is
given back a configuration stands in ``operators/restore`` and below it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.sdk.exceptions import AirflowTaskTimeout

from sagemaker_byoc.config_history import FAILED
from sagemaker_byoc.errors import RequestError, SmokeTestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.restore import LEFT, Restoration
from sagemaker_byoc.operators.restore import restore
from sagemaker_byoc.request import as_flag
from sagemaker_byoc.retry import is_permanent

if TYPE_CHECKING:
    from collections.abc import Callable

    from sagemaker_byoc.restoration import Deployed, RestoreGoal
    from sagemaker_byoc.run import RunIdentity
    from sagemaker_byoc.smoke_test import SmokeTestReport

__all__ = ["TABLE", "Rollback"]

TABLE = "\nWrong answers:"
"""Where the table begins in what a smoke test says of a failure."""

KEEP, DELETE = "keep", "delete"

_OWN_CREATION = ("create", "adopt")
"""Operations of a deployment after which an endpoint that had nothing before is surely this deployment's."""


class Rollback:
    """The way back from one deployment.

    :param operator: with ``rollback``, ``on_failure``, and what ``operators.restore.restore`` wants
    :param deployed: what was deployed, and what was live before it
    :param ask: asks the endpoint the same records, given the configuration that must be live
    :param run: whose try this is; an endpoint that has to be created again gets its tags
    :raises RequestError: a parameter is none of its allowed values
    """

    def __init__(
        self,
        operator: Any,
        deployed: Deployed,
        ask: Callable[[str], SmokeTestReport],
        run: RunIdentity,
    ) -> None:
        self._operator = operator
        self._connection = AwsConnection.of(operator)
        self._deployed = deployed
        self._ask = ask
        self._run = run
        self._wanted = as_flag(operator.rollback, "rollback", missing=True)
        if operator.on_failure not in (KEEP, DELETE):
            raise RequestError("on_failure", operator.on_failure, f"{KEEP!r} or {DELETE!r}")

    def interrupted(self) -> str:
        """Return why an earlier try had begun to go back; empty when none had.

        The reason is on the deployed configuration, since what a try leaves in Airflow goes when the next one begins.
        """
        goal = self._deployed.way_back
        if goal is None or not self._wanted:
            return ""
        look = EndpointHook(self._connection).look(goal.endpoint_name)
        gone = look is None or look.status == "Deleting"
        if look is not None and not gone and look.target_config != goal.config_name:
            return ""
        deployed = self._deployed
        verdict = EndpointConfigHook(self._connection).verdict(deployed.config_name, deployed.promoted_config)
        if verdict.startswith(FAILED):
            return f"An earlier try of this test ended so: {verdict}"
        who = "by an earlier try of this test or by somebody else"
        return "" if gone else f"Endpoint {goal.endpoint_name} was given {goal.config_name} back, {who}."

    def note(self, verdict: str) -> None:
        """Keep how the test ended as a tag of the configuration; a failure to do so is only logged."""
        EndpointConfigHook(self._connection).note(self._deployed.config_name, verdict)

    def note_failure(self, failure: str) -> None:
        """Keep what the test found, without its table."""
        self.note(f"{FAILED}: {' '.join(failure.partition(TABLE)[0].split())}")

    def fail(self, failure: str, *, sent: str = "") -> NoReturn:
        """Go back, and end the task with what failed and what is live now; a wait may come in between.

        :param failure: what the test found
        :param sent: what the endpoint was told before the wait that has just ended
        :raises SmokeTestError: always, in the end
        """
        goal, put_back = self._deployed.way_back, False
        try:
            if not self._wanted:
                story = f"Nothing was put back, since rollback is off. {self._live_now()}"
            elif goal is None:
                story = self._without_way_back()
            else:
                story, put_back = self._go_back(goal, failure, sent), True
        except (Exception, AirflowTaskTimeout) as error:
            if not (is_permanent(error) or self._run.is_last_try):
                self._operator.log.warning("The next try has to see to the way back. Why it is taken: %s", failure)
                raise
            story = f"The way back failed: {error}\n{self._live_now()}"
        raise SmokeTestError(f"{failure}\n{story}", put_back=put_back)

    def _go_back(self, goal: RestoreGoal, failure: str, sent: str) -> str:
        """Put back what was live before, and say what is live then."""
        point, log, tags = self._deployed.point, self._operator.log, self._run.tags()
        restoration = Restoration(self._connection, goal, point, log, tags=tags, sent=sent)
        result = restore(self._operator, restoration, failure=failure)
        if result["operation"] == LEFT:
            return f"A later deployment was left alone. {self._live_now()}"
        return f"{self._live_now()} It was live before this deployment. {self._proof(goal.config_name)}"

    def _proof(self, config_name: str) -> str:
        """Ask the restored model the same records once; its accuracy is told and not judged."""
        try:
            report = self._ask(config_name)
        except (Exception, AirflowTaskTimeout) as error:  # noqa: BLE001 - it is live, and a retry would not go back again
            return f"It could not be asked the test's records: {error}"
        errors = [variant.error for variant in report.variants if variant.error]
        if errors:
            return f"It does not answer the test's records: {' '.join(errors)}"
        return f"It answers: {report.summary()}"

    def _without_way_back(self) -> str:
        if self._deployed.operation not in _OWN_CREATION:
            return f"This run replaced nothing, so nothing is put back. {self._live_now()}"
        if self._operator.on_failure == KEEP:
            return f"Nothing was live before, so nothing is put back (on_failure='keep'). {self._live_now()}"
        hook, name = EndpointHook(self._connection), self._deployed.endpoint_name
        look = hook.look(name)
        if look is not None and look.target_config == self._deployed.config_name and hook.delete(name):
            return f"Nothing was live before, so endpoint {name} is being deleted (on_failure='delete')."
        return f"Nothing was live before, and the endpoint could not be deleted. {self._live_now()}"

    def _live_now(self) -> str:
        """Say what is live; what failed before is worth more than a look that fails."""
        try:
            look = EndpointHook(self._connection).look(self._deployed.endpoint_name)
        except Exception as error:  # noqa: BLE001 - see above
            return f"What is live now could not be looked up: {error}"
        if look is None:
            return f"Live now: nothing, endpoint {self._deployed.endpoint_name} does not exist."
        return f"Live now: {look.live_config} ({look.status})."
