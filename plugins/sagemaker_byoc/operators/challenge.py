"""Lets a new model into production only if it wins against the one that is there.

Owns the order of the steps: read the criteria, find the champion, compare, tell, and skip what follows. The comparison
stands in ``challenge``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from sagemaker_byoc.challenge import Challenge, read_criteria
from sagemaker_byoc.hooks.challenge import find_champion
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.model_package import ModelPackageHook
from sagemaker_byoc.hooks.training_job_end import result_of
from sagemaker_byoc.model_package import ModelPackage, group_name, package_arn
from sagemaker_byoc.retry import fail_fast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, XComArg

    from sagemaker_byoc.challenge import Criterion

__all__ = ["EvaluateChallengerOperator"]


class EvaluateChallengerOperator(BaseOperator):
    """Compare a new model's metrics with the champion's; skip what follows unless it wins.

    The champion is the version that the endpoint serves, if it is approved or has passed its smoke test, so that it
    stays who it is when an earlier model is put back. Where the endpoint serves none of the group, or none is named, it
    is the newest approved version. The model's own job never counts. The champion's metrics are those that
    ``RegisterModelOperator`` kept with it. Without a champion, only the limits count. A metric that one of the two
    lacks fails the task for good.

    When the model does not win, the task ends skipped, and so does what follows by Airflow's default trigger rule. The
    comparison is in the log, and the task's XCom in both cases: ``{"passed", "reasons", "champion":
    {"model_package_arn", "version", "approval_status"} or None, "challenger": {"training_job_name",
    "model_package_group", "model_package_arn"}, "comparison": [{"metric", "goal", "challenger",
    "champion", "margin", "limit", "passed"}], "table"}``. Give it to ``CreateEndpointOperator`` as ``challenge``, since
    the champion may be another one by the time that the deployment has its turn.

    :param training_job: what ``TrainingJobSensor`` returned for the new model, or the name of a completed job
        (templated)
    :param model_package_group: name or ARN of the group; one that does not exist has no champion. Empty, as a setting
        that was left out, skips the task (templated)
    :param criteria: by metric ``"maximize"`` or ``"minimize"``, or an object with ``goal`` (one of these), ``margin``
        (how much better than the champion it has to be; 0, the default, is content with as good, less than 0 with a
        little worse) and ``limit`` (the worst value that passes, champion or not); all have to be met (templated)
    :param model_package: the new model's own version, as ARN or as what ``RegisterModelOperator`` returned, which is
        rejected when it does not win, so that nobody approves it by mistake; None rejects nothing (templated)
    :param endpoint_name: the endpoint whose model has to be beaten, which ``CreateEndpointOperator`` deployed with its
        ``challenge``; None looks at the registry alone (templated)
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "training_job",
        "model_package_group",
        "criteria",
        "model_package",
        "endpoint_name",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"criteria": "json"}  # noqa: RUF012 - as Airflow declares it
    ui_color = "#ffe6cc"

    def __init__(
        self,
        *,
        training_job: dict[str, Any] | str | XComArg,
        model_package_group: str | None,
        criteria: dict[str, Any],
        model_package: dict[str, Any] | str | XComArg | None = None,
        endpoint_name: str | None = None,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.training_job = cast("dict[str, Any] | str", training_job)  # rendered before it is used
        self.model_package_group = model_package_group
        self.criteria = criteria
        self.model_package = cast("dict[str, Any] | str | None", model_package)  # rendered before it is used
        self.endpoint_name = endpoint_name
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare, tell, and skip what follows unless the new model wins."""
        with fail_fast():
            group = group_name(self.model_package_group)
            if not group:
                raise AirflowSkipException("there is no model_package_group, so that there is no champion either")
            criteria = read_criteria(self.criteria)
            own_arn = package_arn(self.model_package) if self.model_package else None
            job = result_of(self._connection, self.training_job, "training_job_name", with_metrics=True)
            champion = find_champion(self._connection, group, job["training_job_name"], self._live_config())
            challenge = _challenge(criteria, job, champion)
            against = f"version {champion.version} of {group}" if champion else f"the limits ({group} has no champion)"
            self.log.info("Challenger %s against %s.\n%s", job["training_job_name"], against, challenge.table())
            challenger = {
                "training_job_name": job["training_job_name"],
                "model_package_group": group,
                "model_package_arn": own_arn,
            }
            verdict = _verdict(challenge, champion, challenger)
            if not challenge.reasons:
                return verdict
            # A task that skips has no return value; what follows by another trigger rule asks for it.
            context["ti"].xcom_push(key="return_value", value=verdict)
            reason = f"The new model does not win against {against}: {'; '.join(challenge.reasons)}."
            if own_arn:
                self._reject(own_arn, reason)
            raise AirflowSkipException(reason)

    def _live_config(self) -> str | None:
        look = EndpointHook(self._connection).look(self.endpoint_name) if self.endpoint_name else None
        return look.live_config if look is not None else None

    def _reject(self, arn: str, reason: str) -> None:
        ModelPackageHook(self._connection).reject(arn, reason)
        self.log.info("%s is rejected.", arn)

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


def _challenge(criteria: Sequence[Criterion], job: Mapping[str, Any], champion: ModelPackage | None) -> Challenge:
    metrics = None if champion is None else champion.metrics_as([criterion.metric for criterion in criteria])
    return Challenge.between(criteria, job["metrics"], metrics)


def _verdict(challenge: Challenge, champion: ModelPackage | None, challenger: dict[str, Any]) -> dict[str, Any]:
    return {
        "passed": not challenge.reasons,
        "reasons": challenge.reasons,
        "champion": champion.result() if champion else None,
        "challenger": challenger,
        "comparison": [comparison.as_json() for comparison in challenge.comparisons],
        "table": challenge.table(),
    }
