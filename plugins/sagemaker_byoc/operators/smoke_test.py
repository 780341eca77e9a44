"""Asks an endpoint questions whose answers are known.

Owns the parameters, the report, the verdict and the words about a failure. How the endpoint is asked stands in
``hooks/smoke_test``, what follows a failure in ``operators/rollback``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator

from sagemaker_byoc.config_history import FAILED, PASSED
from sagemaker_byoc.console import endpoint_url
from sagemaker_byoc.errors import EndpointGoneError, SmokeTestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.smoke_test import PreparedSmokeTest, SmokeTest
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.operators.rollback import Rollback
from sagemaker_byoc.request import as_mapping, require_text
from sagemaker_byoc.restoration import Deployed
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.smoke_test import Limits, SmokeTestReport, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context, XComArg

__all__ = ["InvokeSmokeTestOperator"]


class InvokeSmokeTestOperator(BaseOperator):
    """Ask the endpoint for predictions with known answers; fail if too many are wrong or they come too late.

    The records are checked before anything is sent, and their labels are not sent. Below a limit the task fails
    without a retry, with the wrong answers in its message. The report is the task's XCom in both cases:
    ``{"endpoint_name", "variant", "records", "correct", "accuracy", "minimum_accuracy", "maximum_latency_ms",
    "latency_ms": {"p50", "p95", "max"}, "predictions": [{"record", "label", "prediction", "correct"}], "passed"}``.

    With ``deployment``, a test that fails (wrong answers, errors of the container, answers that come too late or cannot
    be read, an endpoint that somebody has deleted) is followed by a rollback: the endpoint gets back what was live
    before, that is waited for, the restored model is asked the same records once (that it answers; its accuracy is told
    and not judged), and then the task fails with both: what failed, and what is live now. If the worker dies meanwhile,
    the next try goes on with the rollback. A later deployment is left alone. How the test ended is kept as the tag
    ``smoke_test`` of the configuration. ``execution_timeout`` does not cut off the wait for the rollback.

    :param endpoint_name: the endpoint; None is that of the deployment (templated)
    :param endpoint_config_name: the configuration whose model is tested (templated). The task fails if the endpoint
        serves another one, or is being given one, before or after the test: the answers may then be another run's
        model's. None is that of the deployment, and checks nothing without one. For example
        ``{{ ti.xcom_pull(task_ids='wait_for_endpoint')['endpoint_config_name'] }}``
    :param deployment: the result of ``CreateEndpointOperator`` (``create_endpoint.output``), or its JSON; None rolls
        nothing back (templated)
    :param rollback: whether a failed test of a deployment is followed by a rollback (templated)
    :param on_failure: of a first deployment, which has nothing to go back to: ``keep`` leaves the endpoint for a person
        to look at, and ``delete`` deletes it, so that it neither serves nor costs anything
    :param records: CSV with a header, as a path on the worker or an ``s3://`` URI, or a list of dictionaries
        (templated)
    :param label_column: the column of the right answers (templated)
    :param content_type: of the requests: ``text/csv`` with the column names in the first line, ``text/csv;
        header=absent`` without, or ``application/json`` as ``{"instances": [{column: value}]}``
    :param accept: content type asked for in the answers; JSON and CSV are understood
    :param minimum_accuracy: lowest share of right answers, 0 to 1 (templated)
    :param maximum_latency_ms: highest 95th percentile of the time of a request; None is no limit (templated)
    :param minimum_records: refuse a smaller test
    :param tolerance: for a regression, the largest difference that counts as right
    :param warm_up_requests: requests before the measured ones
    :param batch_size: records per request; with 1 the times are those of single records
    :param target_variant: ask this variant instead of letting the weights choose (templated)
    :param invoke_config: further members of the InvokeEndpoint request (templated)
    :param maximum_rows_in_table: rows that the log, the message and the XCom hold at most
    :param deferrable: wait for a rollback in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at an endpoint that is rolled back
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "endpoint_name",
        "endpoint_config_name",
        "deployment",
        "rollback",
        "records",
        "label_column",
        "minimum_accuracy",
        "maximum_latency_ms",
        "minimum_records",
        "tolerance",
        "target_variant",
        "invoke_config",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"invoke_config": "json", "deployment": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (EndpointLink(),)
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        records: str | list[dict[str, Any]],
        label_column: str,
        endpoint_name: str | None = None,
        endpoint_config_name: str | None = None,
        deployment: dict[str, Any] | str | XComArg | None = None,
        rollback: bool | str = True,
        on_failure: str = "keep",
        content_type: str = "text/csv",
        accept: str = "application/json",
        minimum_accuracy: float | str = 0.9,
        maximum_latency_ms: float | str | None = None,
        minimum_records: int | str = 1,
        tolerance: float | str | None = None,
        warm_up_requests: int = 1,
        batch_size: int = 1,
        target_variant: str | None = None,
        invoke_config: dict[str, Any] | None = None,
        maximum_rows_in_table: int = 50,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.endpoint_config_name = endpoint_config_name
        self.deployment = deployment
        self.rollback = rollback
        self.on_failure = on_failure
        self.records = records
        self.label_column = label_column
        self.content_type = content_type
        self.accept = accept
        self.minimum_accuracy = minimum_accuracy
        self.maximum_latency_ms = maximum_latency_ms
        self.minimum_records = minimum_records
        self.tolerance = tolerance
        self.warm_up_requests = warm_up_requests
        self.batch_size = batch_size
        self.target_variant = target_variant
        self.invoke_config = invoke_config
        self.maximum_rows_in_table = maximum_rows_in_table
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, report and judge; go back if that ends badly."""
        with fail_fast():
            deployed, prepared = self._prepare()
            config_name = self._config_to_test(deployed)
            rollback = self._rollback(context, deployed, prepared) if deployed else None
            EndpointLink().push(context, endpoint_url(self._connection.region, prepared.test.endpoint_name))
            if rollback is None:
                return self._judge(context, prepared.ask(config_name))
            if failure := rollback.interrupted():
                rollback.fail(failure)
            try:
                data = self._judge(context, prepared.ask(config_name))
            except (SmokeTestError, EndpointGoneError) as error:
                rollback.note(f"{FAILED}: {str(error).splitlines()[0]}")
                rollback.fail(str(error))
            rollback.note(PASSED)
            return data

    def execute_complete(
        self, context: Context, event: dict[str, Any], goal: dict[str, Any], sent: str, failure: str
    ) -> None:
        """Go on with a rollback after a wait, and fail in the end.

        :param goal: what is being put back, as the deployment says as well
        :param sent: what the endpoint was told before the wait
        :param failure: what the test found
        """
        with fail_fast():
            if "error" in event:
                message = f"{failure}\nThe wait for {goal['config_name']} to be live again broke off: {event['error']}"
                raise SmokeTestError(message)
            deployed, prepared = self._prepare()
            self._rollback(context, cast("Deployed", deployed), prepared).fail(failure, sent=sent)

    def _prepare(self) -> tuple[Deployed | None, PreparedSmokeTest]:
        """Check everything that can be checked before the endpoint is asked; the explicit parameters win."""
        deployed = Deployed.of(self.deployment)
        if deployed is not None:
            name = self.endpoint_name or deployed.endpoint_name
            deployed = replace(deployed, endpoint_name=name, config_name=self._config_to_test(deployed) or "")
        return deployed, self._smoke_test(deployed.endpoint_name if deployed else self.endpoint_name).prepare()

    def _config_to_test(self, deployed: Deployed | None) -> str | None:
        if self.endpoint_config_name is not None:
            allowed = "the configuration to test, or None"
            return require_text(self.endpoint_config_name, "endpoint_config_name", allowed)
        return deployed.config_name if deployed else None

    def _rollback(self, context: Context, deployed: Deployed, prepared: PreparedSmokeTest) -> Rollback:
        return Rollback(self, deployed, prepared.ask, RunIdentity.of(context).tags())

    def _judge(self, context: Context, report: SmokeTestReport) -> dict[str, Any]:
        """Tell what was answered.

        :raises SmokeTestError: it is not good enough
        """
        data = report.as_json(self.maximum_rows_in_table)
        self.log.info("%s\n%s", report.summary(), report.table(self.maximum_rows_in_table))
        violations = report.violations()
        if violations:
            # A task that fails has no return value; the report is wanted all the more.
            context["ti"].xcom_push(key="return_value", value=data)
            raise SmokeTestError(self._story(report, violations))
        return data

    def _smoke_test(self, endpoint_name: str | None) -> SmokeTest:
        return SmokeTest(
            self._connection,
            require_text(endpoint_name, "endpoint_name", "the name of an endpoint that is in service"),
            self.records,
            self.label_column,
            limits=self._limits(),
            content_type=self.content_type,
            accept=self.accept,
            warm_up_requests=self.warm_up_requests,
            batch_size=self.batch_size,
            target_variant=self.target_variant,
            invoke_config=as_mapping(self.invoke_config or {}, "invoke_config"),
        )

    def _limits(self) -> Limits:
        return Limits(
            minimum_accuracy=number("minimum_accuracy", self.minimum_accuracy, missing=0.9),
            maximum_latency_ms=number("maximum_latency_ms", self.maximum_latency_ms),
            minimum_records=number("minimum_records", self.minimum_records, missing=1.0),
            tolerance=number("tolerance", self.tolerance),
        )

    def _story(self, report: SmokeTestReport, violations: list[str]) -> str:
        wrong = report.table(self.maximum_rows_in_table, only_wrong=True)
        table = f"\nWrong answers:\n{wrong}" if report.correct < len(report.answers) else ""
        return f"Endpoint {report.endpoint_name} is not good enough: {'; '.join(violations)}.{table}"

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)
