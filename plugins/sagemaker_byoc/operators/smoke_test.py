"""Asks an endpoint questions whose answers are known.

Owns the parameters, the report, the verdict and the words about a failure. How the endpoint is asked stands in
``hooks/smoke_test``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from sagemaker_byoc.console import endpoint_url
from sagemaker_byoc.errors import SmokeTestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.smoke_test import SmokeTest
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.request import as_mapping, require_text
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.smoke_test import Limits, SmokeTestReport, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow.sdk import Context

__all__ = ["InvokeSmokeTestOperator"]


class InvokeSmokeTestOperator(BaseOperator):
    """Ask the endpoint for predictions with known answers; fail if too many are wrong or they come too late.

    The records are checked before anything is sent, and their labels are not sent. Below a limit the task fails
    without a retry, with the wrong answers in its message. The report is the task's XCom in both cases:
    ``{"endpoint_name", "variant", "records", "correct", "accuracy", "minimum_accuracy", "maximum_latency_ms",
    "latency_ms": {"p50", "p95", "max"}, "predictions": [{"record", "label", "prediction", "correct"}], "passed"}``.

    :param endpoint_name: the endpoint (templated)
    :param endpoint_config_name: the configuration whose model is tested (templated). The task fails if the endpoint
        serves another one, or is being given one, before or after the test: the answers may then be another run's
        model's. None checks nothing. For example
        ``{{ ti.xcom_pull(task_ids='wait_for_endpoint')['endpoint_config_name'] }}``
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
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "endpoint_name",
        "endpoint_config_name",
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
    template_fields_renderers = {"invoke_config": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (EndpointLink(),)
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        endpoint_name: str,
        records: str | list[dict[str, Any]],
        label_column: str,
        endpoint_config_name: str | None = None,
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
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.endpoint_name = endpoint_name
        self.endpoint_config_name = endpoint_config_name
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
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, report and judge."""
        with fail_fast():
            report = self._test(context)
            data = report.as_json(self.maximum_rows_in_table)
            self.log.info("%s\n%s", report.summary(), report.table(self.maximum_rows_in_table))
            violations = report.violations()
            if violations:
                # A task that fails has no return value; the report is wanted all the more.
                context["ti"].xcom_push(key="return_value", value=data)
                raise SmokeTestError(self._story(report, violations))
            return data

    def _test(self, context: Context) -> SmokeTestReport:
        """Check everything that can be checked, then ask."""
        if self.endpoint_config_name is not None:
            require_text(self.endpoint_config_name, "endpoint_config_name", "the configuration to test, or None")
        prepared = self._smoke_test().prepare()
        EndpointLink().push(context, endpoint_url(self._connection.region, self.endpoint_name))
        return prepared.ask(self.endpoint_config_name)

    def _smoke_test(self) -> SmokeTest:
        return SmokeTest(
            self._connection,
            self.endpoint_name,
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
        return f"Endpoint {self.endpoint_name} is not good enough: {'; '.join(violations)}.{table}"

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)
