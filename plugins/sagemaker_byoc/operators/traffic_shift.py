"""Gives a candidate the traffic of its endpoint.

Owns the parameters, the wait and the way back. What is done when stands in ``hooks/traffic_shift`` and
``traffic_shift``.
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralError,
    TaskDeferralTimeout,
)

from sagemaker_byoc.errors import EndpointFailedError, RequestError, TrafficShiftError
from sagemaker_byoc.hooks.claim import held_until_tested
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.restore import LEFT, Restoration
from sagemaker_byoc.hooks.traffic_shift import BREACH, LOST, TrafficShift
from sagemaker_byoc.limit import count, number
from sagemaker_byoc.links import EndpointLink, LogLink, push_endpoint
from sagemaker_byoc.operators.restore import restore
from sagemaker_byoc.restoration import Deployed
from sagemaker_byoc.retry import fail_fast, is_permanent
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.traffic_shift import Tolerance, read_steps, share_of
from sagemaker_byoc.triggers.traffic_shift import TrafficShiftTrigger
from sagemaker_byoc.triggers.watch import look_until_on_worker

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from airflow.sdk import Context, XComArg

    from sagemaker_byoc.candidate import Candidate

__all__ = ["ShiftTrafficOperator"]


class ShiftTrafficOperator(BaseOperator):
    """Move an endpoint's traffic to the candidate beside the live model, in steps, and give it the endpoint.

    After ``CreateEndpointOperator(strategy="candidate")`` and the smoke test. Each step changes weights, which starts
    and ends no instance. While a step lasts, CloudWatch is asked what it has counted of the candidate since the step
    began. At the first limit that it misses, the traffic goes back to the live variants at once, then the endpoint gets
    its earlier configuration back, and then the task fails with the step, what was measured against which limit, and
    what is live. After the last step the endpoint is updated to the candidate alone, so that the earlier instances go,
    and that is waited for; if AWS takes that update back, so does the task with the rest. Either end lets the next run
    deploy that waits for the endpoint.

    Everything is read off the endpoint, so that a retry, or a later clear, goes on wherever the endpoint is: a step
    that was reached is not taken again, its time counts from when its weights were set, and a way back that has begun
    is gone on with. What cannot be gone on with goes back as well, as far as AWS allows: bad input, a permission that
    is missing, and on the last try also what passes, such as a busy AWS or an ``execution_timeout`` that is over.
    Whoever kills the task (marks it failed, clears it) leaves the traffic where it is: clear the task to go on, or run
    ``sagemaker_restore`` to go back.

    With a deployment that replaced the live model there is nothing to do, and the task says so.

    Returns ``{"endpoint_name", "endpoint_config_name", "operation"}``: the final configuration, and ``shift`` or
    ``none``.

    CloudWatch gets SageMaker's metrics once a minute, and late. A step of less than a few minutes sees little on AWS.
    Minutes are whole: what the smoke test asked in the minute in which the first step begins counts as well.

    :param deployment: the result of ``CreateEndpointOperator``, or its JSON (templated)
    :param steps: shares of the traffic in percent, ascending to 100, as a list, its JSON or ``10, 50, 100`` (templated)
    :param bake_seconds: how long each step is watched, the last one as well (templated)
    :param maximum_error_share: highest share, 0 to 1, of requests that the candidate fails: answers of 5xx, time-outs
        and broken connections. Answers of 4xx do not count, since they blame the client (templated)
    :param maximum_latency_ms: highest average time of the model; None is no limit (templated). Percentiles are not
        among what CloudWatch promises of SageMaker's metrics
    :param minimum_invocations: fewest requests to judge a step by (templated). With fewer, no limit counts as missed;
        the step lasts twice as long then, and after that goes on with a word in the log: who gets no requests harms
        nobody
    :param deferrable: wait in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at the endpoint and its metrics
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "deployment",
        "steps",
        "bake_seconds",
        "maximum_error_share",
        "maximum_latency_ms",
        "minimum_invocations",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"deployment": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (EndpointLink(), LogLink())
    ui_color = "#d5e8d4"

    def __init__(
        self,
        *,
        deployment: dict[str, Any] | str | XComArg | None,
        steps: Sequence[float] | str | None = None,
        bake_seconds: float | str = 300.0,
        maximum_error_share: float | str = 0.01,
        maximum_latency_ms: float | str | None = None,
        minimum_invocations: int | str = 10,
        deferrable: bool = True,
        poll_interval_seconds: float = 10.0,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.deployment = deployment
        self.steps = steps
        self.bake_seconds = bake_seconds
        self.maximum_error_share = maximum_error_share
        self.maximum_latency_ms = maximum_latency_ms
        self.minimum_invocations = minimum_invocations
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Shift the traffic, or go on with what an earlier try began."""
        with fail_fast(), self._held(context):
            deployed = self._deployed()
            push_endpoint(context, self._connection.region, deployed.endpoint_name)
            if deployed.candidate is None:
                return self._nothing_to_do(deployed)
            try:
                result = self._advance(deployed, deployed.candidate)
            except LOST:
                raise
            except (Exception, AirflowTaskTimeout) as error:
                if not (is_permanent(error) or RunIdentity.of(context).is_last_try):
                    raise
                return self._break_off(context, deployed, f"{type(error).__name__}: {error}")
            return self._end(context, deployed, result)

    def _advance(self, deployed: Deployed, candidate: Candidate) -> dict[str, Any]:
        """Return how the shift ends, if that is found out here."""
        settings = self._settings()
        shift = self._shift(deployed, candidate, settings)
        if failure := shift.interrupted():
            return {BREACH: failure}
        if self.deferrable:
            self._defer(deployed, settings)
        result = look_until_on_worker(
            lambda result: result is not None,
            shift.advance,
            interval_seconds=self.poll_interval_seconds,
            log=self.log,
        )
        return cast("dict[str, Any]", result)

    def shift_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:
        """End the task, or go back, as the trigger has seen it."""
        with fail_fast(), self._held(context):
            deployed = self._deployed()
            if event.get("lost"):
                raise EndpointFailedError(event["error"])
            if "error" in event:
                return self._break_off(context, deployed, event["error"])
            return self._end(context, deployed, event["result"])

    def execute_complete(
        self, context: Context, event: dict[str, Any], goal: dict[str, Any], sent: str, failure: str
    ) -> None:
        """Go on with the way back after a wait, and fail in the end.

        :param goal: what is being put back, as the deployment says as well
        :param sent: what the endpoint was told before the wait
        :param failure: which limit was missed
        """
        with fail_fast(), self._held(context):
            if "error" in event:
                message = f"{failure}\nThe wait for {goal['config_name']} to be live again broke off: {event['error']}"
                raise TrafficShiftError(message)
            self._go_back(context, self._deployed(), failure, sent=sent)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Leave no traffic half-way when the last try's wait has taken too long, or its trigger has failed."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralError, TaskDeferralTimeout) as error:
            if not RunIdentity.of(context).is_last_try:
                raise
            with fail_fast(), self._held(context):
                return self._break_off(context, self._deployed(), f"{type(error).__name__}: {error}")

    def _held(self, context: Context) -> AbstractContextManager[None]:
        """Let the next run deploy when the shift is over; a deployment without a candidate did so already."""
        deployed = Deployed.of(self.deployment)
        name = deployed.endpoint_name if deployed and deployed.candidate else None
        return held_until_tested(self._connection, RunIdentity.of(context), name)

    def _deployed(self) -> Deployed:
        deployed = Deployed.of(self.deployment)
        if deployed is None:
            raise AirflowSkipException("Nothing was deployed, so there is no traffic to shift.")
        return deployed

    def _settings(self) -> dict[str, Any]:
        """Read what templates made of the parameters, in the words of the trigger."""
        bake_seconds = number("bake_seconds", self.bake_seconds, missing=300.0)
        if bake_seconds < 0:
            raise RequestError("bake_seconds", self.bake_seconds, "0 or more")
        tolerance = Tolerance(
            number("maximum_error_share", self.maximum_error_share, missing=0.01),
            number("maximum_latency_ms", self.maximum_latency_ms),
            count("minimum_invocations", self.minimum_invocations),
        )
        return {"steps": read_steps(self.steps), "bake_seconds": bake_seconds, "tolerance": asdict(tolerance)}

    def _nothing_to_do(self, deployed: Deployed) -> dict[str, Any]:
        name, config_name = deployed.endpoint_name, deployed.config_name
        self.log.info("The deployment of %s to endpoint %s left no traffic to shift.", config_name, name)
        return {"endpoint_name": name, "endpoint_config_name": config_name, "operation": "none"}

    def _break_off(self, context: Context, deployed: Deployed, error: str) -> dict[str, Any]:
        """End the shift where nobody can go on: a model that nobody watches must not stay half-way.

        :raises TrafficShiftError: unless the candidate has the endpoint already
        """
        shift = TrafficShift(self._connection, deployed, cast("Candidate", deployed.candidate), Tolerance(), self.log)
        return self._end(context, deployed, shift.break_off(f"The shift of traffic broke off: {error}"))

    def _shift(self, deployed: Deployed, candidate: Candidate, settings: dict[str, Any]) -> TrafficShift:
        tolerance = Tolerance(**settings["tolerance"])
        others = {name: value for name, value in settings.items() if name != "tolerance"}
        return TrafficShift(self._connection, deployed, candidate, tolerance, self.log, **others)

    def _defer(self, deployed: Deployed, settings: dict[str, Any]) -> NoReturn:
        trigger = TrafficShiftTrigger(
            deployment=deployed.as_json(),
            **settings,
            connection=self._connection.serialize(),
            poll_interval_seconds=self.poll_interval_seconds,
        )
        self.defer(trigger=trigger, method_name="shift_complete", timeout=self.execution_timeout)

    def _end(self, context: Context, deployed: Deployed, result: dict[str, Any]) -> dict[str, Any]:
        if BREACH in result:
            self._go_back(context, deployed, result[BREACH])
        self.log.info("Endpoint %(endpoint_name)s serves %(endpoint_config_name)s alone.", result)
        return result

    def _go_back(self, context: Context, deployed: Deployed, failure: str, *, sent: str = "") -> NoReturn:
        """Give the endpoint its earlier configuration back; a wait may come in between.

        :raises TrafficShiftError: always, in the end
        """
        put_back = False
        try:
            story, put_back = self._put_back(context, deployed, failure, sent)
        except (Exception, AirflowTaskTimeout) as error:
            if not (is_permanent(error) or RunIdentity.of(context).is_last_try):
                raise
            story = f"The way back failed: {error}"
        raise TrafficShiftError(f"{failure}\n{story} {self._live_now(deployed)}", put_back=put_back)

    def _put_back(self, context: Context, deployed: Deployed, failure: str, sent: str) -> tuple[str, bool]:
        """Return what was done, and whether the candidate is gone."""
        goal = deployed.way_back
        if goal is None:
            return "What was live before is not known, so that nothing is put back.", False
        tags = RunIdentity.of(context).tags()
        restoration = Restoration(self._connection, goal, deployed.point, self.log, tags=tags, sent=sent)
        result = restore(self, restoration, failure=failure)
        if result["operation"] == LEFT:
            return "A later deployment was left alone.", True
        return "The endpoint has its earlier configuration back.", True

    def _live_now(self, deployed: Deployed) -> str:
        """Say what is live; what failed before is worth more than a look that fails."""
        try:
            look = EndpointHook(self._connection).traffic(deployed.endpoint_name)
        except Exception as error:  # noqa: BLE001 - see above
            return f"What is live now could not be looked up: {error}"
        if look is None:
            return "Live now: nothing."
        live = f"Live now: {look.endpoint.live_config} ({look.endpoint.status})"
        if look.endpoint.live_config != deployed.config_name or deployed.candidate is None:
            return f"{live}."
        return (
            f"{live}, where the candidate gets {share_of(deployed.candidate.weights, look.variants):g}% of the traffic."
        )

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)
