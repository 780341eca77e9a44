"""Puts a model behind an endpoint.

Owns the loop of looking and doing, and the deferral while another run has the endpoint or is at work on it. Which
step comes next is decided in ``deployment``, whose turn it is in ``claim``; whether the new configuration becomes live
is the sensor's to wait for.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException, AirflowTaskTimeout, TaskDeferralTimeout

from sagemaker_byoc.candidate import CANDIDATE, DIRECT, read_strategy
from sagemaker_byoc.challenge import PastChallenge
from sagemaker_byoc.claim import Contender, Turn
from sagemaker_byoc.console import endpoint_url
from sagemaker_byoc.errors import EndpointClaimError, EndpointFailedError, RequestError
from sagemaker_byoc.hooks.challenge import lost_since, reject_loser
from sagemaker_byoc.hooks.claim import ClaimHook, holder_of
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.deployment import Deployment, DeploymentPlan
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.request import as_flag, as_mapping, require_text
from sagemaker_byoc.retry import fail_fast, is_permanent
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.triggers.claim import EndpointClaimTrigger
from sagemaker_byoc.triggers.endpoint import EndpointTrigger
from sagemaker_byoc.triggers.watch import look_until_on_worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, XComArg
    from airflow.triggers.base import BaseTrigger

__all__ = ["CreateEndpointOperator"]


class CreateEndpointOperator(BaseOperator):
    """Create the endpoint, or update it to a new configuration; it need not be known which of the two.

    The endpoint configuration is named by its content, so repeating the task finds the same one. If the endpoint
    serves it, or is about to, nothing is called. If another run is changing the endpoint, that is waited for. A run
    whose data are older than those of the live model is skipped, so that a backfill does not put an old model in the
    place of a newer one. ``execution_timeout`` bounds all waits together.

    Runs that deploy to one endpoint, of whatever DAGs, queue up behind each other: each has the endpoint to itself
    until ``InvokeSmokeTestOperator`` has passed its model or put the earlier one back, until it is skipped or fails for
    good here, or until the DAG run is over. Of those who wait, the one with the newest data comes first, so that older
    ones are skipped then. The queue consists of endpoint configurations named ``…-claim-<number>`` and ``…-wait-…``,
    which cost nothing and deploy nothing; the last claim of each endpoint is kept. The tasks of one run do not keep
    each other out.

    Nothing is stopped when the task is killed: AWS has no call that ends an update.

    Before an endpoint is updated, it is made sure that what it serves could be put back: its configuration, the models
    of its variants, their artifacts and their images in ECR exist. The task fails otherwise, and the endpoint goes on
    serving. What the connection may not look at counts as there.

    Returns ``{"endpoint_name", "endpoint_config_name", "previous_endpoint_config_name", "operation",
    "restore_point"}``, the operation being ``create``, ``update``, ``adopt`` (an earlier try started it) or ``none``
    (it is live already). The restore point is ``{"config": CreateEndpointConfig request, "models": [CreateModel
    requests]}``, from which the previous configuration can be made again after somebody has deleted it; None when
    nothing was live before. It holds the models' ``Environment``, which whoever may read the XCom then sees. With
    ``RetainAllVariantProperties`` there is ``"retain"``, the members of UpdateEndpoint that a rollback sends, too.

    With ``strategy="candidate"`` the configuration holds the live variants as they are now, and the new ones beside
    them as ``<VariantName>-candidate`` with weight 0. The result then also has ``"candidate": {"variants": {final name:
    name there}, "live": {name: weight}, "final_config": CreateEndpointConfig request, "update": UpdateEndpoint
    request}``, from which the new variants get the endpoint to themselves. Serverless variants, shadow variants,
    asynchronous endpoints and more than ten variants cannot stand beside each other, which is told before anything is
    made. ``update_config`` goes with both updates, but ``RetainAllVariantProperties`` only with the last one.

    :param endpoint_name: the endpoint (templated)
    :param model_name: SageMaker model for every variant that names none (templated)
    :param config: CreateEndpointConfig request (templated). ``ProductionVariants`` is required; of a single variant
        the name may be left out and is ``AllTraffic``. ``EndpointConfigName``, if given, is the readable beginning
        of the name
    :param update_config: further members of the UpdateEndpoint request, such as ``DeploymentConfig`` or
        ``RetainAllVariantProperties`` (templated); they do not apply when the endpoint is created. Canary, linear and
        rolling deployments and the alarms that roll them back are checked by AWS's rules before anything is made
    :param data_date: of the data that the model was trained on, an ISO 8601 date or datetime; a bare date is midnight
        UTC (templated). None is the begin of the run's data interval, else its logical date. It is kept as the tag
        ``data_date`` of the configuration, and a live configuration without that tag is never the newer one
    :param challenge: what ``EvaluateChallengerOperator`` returned (``evaluate_challenger.output``), or its JSON. Right
        before the endpoint is changed, the model is compared again if another one is champion by then; if it does not
        win, the task is skipped and its version rejected. The ARN of that version is kept as the tag ``model_package``
        of the configuration. None compares nothing (templated)
    :param deploy_older: deploy even if the live model was trained on later data (templated)
    :param replace_failed: delete an endpoint that is Failed, which AWS lets one do nothing else with, or OutOfService
        with this very configuration, to which AWS does not update it, and create it again. Such an endpoint serves
        nothing; its logs are kept
    :param require_way_back: refuse to update an endpoint whose present configuration, or a model of it, was deleted
        (templated)
    :param strategy: ``direct`` replaces what is live. ``candidate`` puts the new variants beside the live ones, without
        any traffic, so that the smoke test asks a model that no client sees; ``ShiftTrafficOperator`` then gives it the
        endpoint. Where nothing is live, or the model is live already, ``candidate`` is ``direct`` (templated)
    :param exclusive: have the endpoint to itself, as said above; False deploys as soon as AWS accepts the update,
        whatever other runs are testing. Where a run has several smoke tests, ``gives_back`` of
        ``InvokeSmokeTestOperator`` says which one ends it
    :param deferrable: wait in the triggerer instead of on a worker. A wait for the own turn on a worker needs an
        ``execution_timeout``: it holds a slot, maybe the last one of a pool, and the smoke test that it waits for needs
        one as well. When the time is over, the pause before the next try leaves the slot to it
    :param poll_interval_seconds: pause between two looks at a busy endpoint, or at the queue before it, which the waits
        in one triggerer share; there a second at least
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "endpoint_name",
        "model_name",
        "config",
        "update_config",
        "data_date",
        "challenge",
        "deploy_older",
        "require_way_back",
        "strategy",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {  # noqa: RUF012 - as Airflow declares it
        "config": "json",
        "update_config": "json",
        "challenge": "json",
    }
    operator_extra_links = (EndpointLink(),)
    ui_color = "#d5e8d4"

    def __init__(
        self,
        *,
        endpoint_name: str,
        config: dict[str, Any],
        model_name: str | XComArg | None = None,
        update_config: dict[str, Any] | None = None,
        data_date: str | None = None,
        challenge: dict[str, Any] | str | XComArg | None = None,
        deploy_older: bool | str = False,
        replace_failed: bool = True,
        require_way_back: bool | str = True,
        strategy: str | None = DIRECT,
        exclusive: bool = True,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if exclusive and not deferrable and self.execution_timeout is None:
            remedy = "Runs that wait for their turn on workers may hold all slots, and none would end. Give it a limit."
            raise RequestError("execution_timeout", None, "a time when deferrable is False and exclusive True", remedy)
        self.endpoint_name = endpoint_name
        self.model_name = cast("str | None", model_name)  # rendered before it is used
        self.config = config
        self.update_config = update_config
        self.data_date = data_date
        self.challenge = challenge
        self.deploy_older = deploy_older
        self.replace_failed = replace_failed
        self.require_way_back = require_way_back
        self.strategy = strategy
        self.exclusive = exclusive
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Look at the endpoint and do the next step, until the configuration is on its way."""
        limit = self.execution_timeout
        return self._deploy(context, time.time() + limit.total_seconds() if limit else None)

    def execute_complete(
        self, context: Context, event: dict[str, Any], deadline: float | None = None, claim: int | None = None
    ) -> dict[str, Any]:
        """Go on after a wait; what the endpoint is by now is looked at anew.

        :param deadline: seconds since 1970 at which ``execution_timeout`` is over, counted from the try's begin
        :param claim: number of the claim on the endpoint that the task has had before the wait
        """
        with fail_fast():
            if "claim_error" in event:
                raise EndpointClaimError(event["claim_error"])
            if "error" in event:
                self._give_up(RunIdentity.of(context))
                raise EndpointFailedError(event["error"])
        return self._deploy(context, deadline, event.get("claim", claim))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Leave the queue when the wait has taken too long."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout:
            self._give_up(RunIdentity.of(context))
            raise

    def _deploy(self, context: Context, deadline: float | None, claim: int | None = None) -> dict[str, Any]:
        with fail_fast():
            run = RunIdentity.of(context)
            plan, deploys_older = self._plan(run), as_flag(self.deploy_older, "deploy_older")
            deployment = self._deployment(run, plan)
            EndpointLink().push(context, endpoint_url(self._connection.region, self.endpoint_name))
            try:
                return self._advance(
                    deployment, self._contender(run, plan), deadline, claim, deploys_older=deploys_older
                )
            except (Exception, AirflowTaskTimeout) as error:
                # What passes is tried again, and the claim is kept for that.
                if is_permanent(error) or isinstance(error, (AirflowSkipException, AirflowTaskTimeout)):
                    self._give_up(run, deployment)
                raise

    def _deployment(self, run: RunIdentity, plan: DeploymentPlan) -> Deployment:
        return Deployment(
            self._connection,
            plan,
            run,
            replace_failed=self.replace_failed,
            require_way_back=as_flag(self.require_way_back, "require_way_back", missing=True),
            beside=read_strategy(self.strategy) == CANDIDATE,
            gate=self._check_challenge,
        )

    def _advance(
        self,
        deployment: Deployment,
        contender: Contender,
        deadline: float | None,
        claim: int | None,
        *,
        deploys_older: bool,
    ) -> dict[str, Any]:
        hook = EndpointHook(self._connection)
        while True:
            if self.exclusive:
                claim = self._claimed(contender, claim, deadline)
            look = hook.look(self.endpoint_name)
            if not deploys_older:
                _skip_if(deployment.newer_live_config(look), contender.data_date)
            result = deployment.advance(look)
            if result is not None:
                self.log.info("Endpoint %(endpoint_name)s: %(operation)s, %(endpoint_config_name)s.", result)
                self._tell_strategy(result)
                return result
            self._pause(deadline, claim)

    def _tell_strategy(self, result: dict[str, Any]) -> None:
        if candidate := result.get("candidate"):
            names = ", ".join(candidate["variants"].values())
            self.log.info("It gets the variants %s beside the live ones, without any traffic.", names)
        elif read_strategy(self.strategy) == CANDIDATE:
            self.log.info("There is no other model to stand beside: the deployment is a direct one.")

    def _plan(self, run: RunIdentity) -> DeploymentPlan:
        past = PastChallenge.of(self.challenge)
        return DeploymentPlan.make(
            self._connection,
            run,
            endpoint_name=require_text(self.endpoint_name, "endpoint_name", "the name of the endpoint"),
            model_name=self.model_name,
            config=as_mapping(self.config, "config"),
            update_config=as_mapping(self.update_config or {}, "update_config"),
            given_data_date=self.data_date,
            model_package=past.model_package if past else None,
        )

    def _check_challenge(self, live_config: str | None) -> None:
        """Keep out a model that would not win any more, after a wait for its turn or for a person."""
        past = PastChallenge.of(self.challenge)
        defeat = lost_since(self._connection, past, live_config, self.log) if past else None
        if past and defeat:
            if past.model_package and defeat.is_compared:
                reject_loser(self._connection, past.model_package, defeat.reason, live_config, self.log)
            raise AirflowSkipException(f"Nothing is deployed: {defeat.reason}.")

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)

    def _claimed(self, contender: Contender, claim: int | None, deadline: float | None) -> int:
        """Return the number of the claim by which the run has the endpoint, after a wait if it has none.

        :param claim: the number so far; somebody may have taken the endpoint away, or the run been cleared, since
        """
        hook = ClaimHook(self._connection, self.endpoint_name)
        if claim is not None and hook.look().is_held_with(claim, contender.key):
            return claim
        turn = Turn(contender)
        number = hook.attempt(contender, turn, self.log)
        if number is not None:
            return number
        hook.line_up(contender)
        if self.deferrable:
            trigger = EndpointClaimTrigger(
                contender=contender.as_json(),
                connection=self._connection.serialize(),
                poll_interval_seconds=self.poll_interval_seconds,
            )
            self._wait_with(trigger, deadline)
        return cast(
            "int",
            look_until_on_worker(
                lambda taken: taken is not None,
                lambda: hook.attempt(contender, turn, self.log),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            ),
        )

    def _contender(self, run: RunIdentity, plan: DeploymentPlan) -> Contender:
        return Contender.of(plan.endpoint_name, holder_of(run), plan.config, plan.create["Tags"], plan.data_date)

    def _give_up(self, run: RunIdentity, deployment: Deployment | None = None) -> None:
        """Leave the queue where the task will not go on, and give the endpoint back unless it has an untested model.

        :param deployment: None after a wait, before which nothing was sent
        """
        if not self.exclusive:
            return
        plan, hook = self._plan(run), ClaimHook(self._connection, self.endpoint_name)
        contender = self._contender(run, plan)
        if self._may_have_begun(deployment or self._deployment(run, plan)):
            hook.leave(contender)
        else:
            hook.give_up(contender)

    def _may_have_begun(self, deployment: Deployment) -> bool:
        """Say whether the endpoint may have this run's model, which the next run must not take for its way back.

        A time limit may be over just after AWS has taken the update.
        """
        try:
            return deployment.has_begun()
        except Exception as error:  # noqa: BLE001 - the end of the run gives it back, too
            self.log.warning("Endpoint %s is kept until the run is over: %s", self.endpoint_name, error)
            return True

    def _pause(self, deadline: float | None, claim: int | None) -> None:
        self.log.info("Endpoint %s is busy; waiting for it to settle.", self.endpoint_name)
        if not self.deferrable:
            time.sleep(self.poll_interval_seconds)
            return
        trigger = EndpointTrigger(
            endpoint=self.endpoint_name,
            **self._connection.serialize(),
            poll_interval_seconds=self.poll_interval_seconds,
        )
        self._wait_with(trigger, deadline, claim)

    def _wait_with(self, trigger: BaseTrigger, deadline: float | None, claim: int | None = None) -> NoReturn:
        self.defer(
            trigger=trigger,
            method_name="execute_complete",
            kwargs={"deadline": deadline, "claim": claim},
            timeout=self._time_left(deadline),
        )

    def _time_left(self, deadline: float | None) -> timedelta | None:
        """Return what remains for a wait; Airflow alone would grant each wait the whole ``execution_timeout``."""
        if deadline is None:
            return None
        seconds = deadline - time.time()
        if seconds <= 0:
            message = (
                f"Endpoint {self.endpoint_name} was busy with other deployments for all of execution_timeout "
                f"({self.execution_timeout}); nothing was deployed."
            )
            raise AirflowTaskTimeout(message)
        return timedelta(seconds=seconds)


def _skip_if(newer: str | None, data_date: str | None) -> None:
    if newer is not None:
        message = (
            f"The endpoint serves {newer}, trained on newer data than this run's model of {data_date}: nothing is "
            "deployed. Set deploy_older=True to deploy it all the same."
        )
        raise AirflowSkipException(message)
