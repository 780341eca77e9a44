"""Asks an endpoint questions whose answers are known.

Owns the order of the steps: read and check the records, ask, report, judge. How answers are read and judged stands in
``prediction`` and ``smoke_test``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from sagemaker_byoc.console import endpoint_url
from sagemaker_byoc.errors import EndpointSupersededError, RequestError, SmokeTestError
from sagemaker_byoc.hooks.claim import held_until_tested
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.inference import InferenceHook, Reply
from sagemaker_byoc.known_record import KnownRecord, encode, read_csv, read_rows
from sagemaker_byoc.links import EndpointLink
from sagemaker_byoc.prediction import is_correct, read_predictions
from sagemaker_byoc.request import as_mapping, require_text
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.smoke_test import Answer, Limits, SmokeTestReport, number

if TYPE_CHECKING:
    from airflow.sdk import Context

__all__ = ["InvokeSmokeTestOperator"]

_MAXIMUM_BODY_BYTES = 6_291_456
"""Largest body of InvokeEndpoint. Source: the service model of sagemaker-runtime."""


class InvokeSmokeTestOperator(BaseOperator):
    """Ask the endpoint for predictions with known answers; fail if too many are wrong or they come too late.

    The records are checked before anything is sent, and their labels are not sent. Below a limit the task fails
    without a retry, with the wrong answers in its message. Either verdict lets the next run deploy that waits for the
    endpoint (see ``CreateEndpointOperator``). The report is the task's XCom in both cases:
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
        run = RunIdentity.of(context)
        with fail_fast(), held_until_tested(self._connection, run, self.endpoint_name):
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
        require_text(self.endpoint_name, "endpoint_name", "the name of an endpoint that is in service")
        if self.endpoint_config_name is not None:
            require_text(self.endpoint_config_name, "endpoint_config_name", "the configuration to test, or None")
        limits = self._limits()
        hook = InferenceHook(self._connection)
        batches = list(self._batches(self._read(hook, limits)))
        requests = [self._request(batch) for batch in batches]
        EndpointLink().push(context, endpoint_url(self._connection.region, self.endpoint_name))
        self._check_config()
        try:
            for _ in range(self.warm_up_requests):
                hook.invoke(requests[0])
            replies = [hook.invoke(request) for request in requests]
        finally:
            # Before any verdict: what another model answers, or refuses, says nothing about this one.
            self._check_config()
        answers: list[Answer] = []
        for batch, reply in zip(batches, replies, strict=True):
            answers += _compare(batch, reply, limits.tolerance, first=len(answers) + 1)
        times = [reply.milliseconds for reply in replies]
        return SmokeTestReport(self.endpoint_name, replies[-1].variant, answers, times, limits)

    def _limits(self) -> Limits:
        return Limits(
            minimum_accuracy=number("minimum_accuracy", self.minimum_accuracy, missing=0.9),
            maximum_latency_ms=number("maximum_latency_ms", self.maximum_latency_ms),
            minimum_records=number("minimum_records", self.minimum_records, missing=1.0),
            tolerance=number("tolerance", self.tolerance),
        )

    def _check_config(self) -> None:
        """Refuse to judge a model by the answers of another.

        :raises EndpointSupersededError: the endpoint serves another configuration, or is being given one
        """
        if self.endpoint_config_name is None:
            return
        look = EndpointHook(self._connection).look(self.endpoint_name)
        if look is None or look.target_config != self.endpoint_config_name:
            found = "does not exist any more" if look is None else f"has, or is being given, {look.target_config}"
            message = (
                f"Endpoint {self.endpoint_name} {found} instead of {self.endpoint_config_name}: another deployment "
                "came after this one, so that its answers say nothing about this model."
            )
            raise EndpointSupersededError(message)

    def _read(self, hook: InferenceHook, limits: Limits) -> list[KnownRecord]:
        records = self._parse(hook)
        if len(records) < limits.minimum_records:
            raise RequestError(
                "records", f"{len(records)} records", f"at least minimum_records={limits.minimum_records:g}"
            )
        return records

    def _parse(self, hook: InferenceHook) -> list[KnownRecord]:
        """Read the records; a template of a list arrives as its text."""
        given: Any = self.records
        if isinstance(given, str) and given.lstrip().startswith("["):
            try:
                given = json.loads(given)
            except ValueError as error:
                raise RequestError("records", given[:100], "JSON, when it begins with '['", str(error)) from error
        if isinstance(given, str) and given:
            return read_csv(hook.read(given), self.label_column, source=given)
        if isinstance(given, Sequence) and not isinstance(given, str):
            return read_rows(given, self.label_column)
        raise RequestError("records", given, "a path, an s3:// URI or a list of dictionaries")

    def _batches(self, records: list[KnownRecord]) -> Iterator[list[KnownRecord]]:
        if self.batch_size < 1:
            raise RequestError("batch_size", self.batch_size, "1 or more")
        for start in range(0, len(records), self.batch_size):
            yield records[start : start + self.batch_size]

    def _request(self, batch: list[KnownRecord]) -> dict[str, Any]:
        body = encode(batch, self.content_type)
        if len(body) > _MAXIMUM_BODY_BYTES:
            given = f"{self.batch_size} records of {len(body)} bytes"
            raise RequestError("batch_size", given, f"requests of at most {_MAXIMUM_BODY_BYTES} bytes")
        sent = {
            **as_mapping(self.invoke_config or {}, "invoke_config"),
            "EndpointName": self.endpoint_name,
            "ContentType": self.content_type,
            "Accept": self.accept,
            "Body": body,
            **({"TargetVariant": self.target_variant} if self.target_variant else {}),
        }
        return self._connection.conform("sagemaker-runtime", "InvokeEndpoint", sent, field="invoke_config")

    def _story(self, report: SmokeTestReport, violations: list[str]) -> str:
        wrong = report.table(self.maximum_rows_in_table, only_wrong=True)
        table = f"\nWrong answers:\n{wrong}" if report.correct < len(report.answers) else ""
        return f"Endpoint {self.endpoint_name} is not good enough: {'; '.join(violations)}.{table}"

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


def _compare(batch: list[KnownRecord], reply: Reply, tolerance: float | None, *, first: int) -> list[Answer]:
    """Put answers beside labels.

    :raises SmokeTestError: the answers cannot be read, or there are more or fewer of them than records
    """
    predictions = read_predictions(reply.body, reply.content_type)
    if len(predictions) != len(batch):
        message = f"The endpoint answered {len(predictions)} predictions to {len(batch)} records: {reply.body[:200]!r}"
        raise SmokeTestError(message)
    return [
        Answer(record, known.label, prediction, is_correct(known.label, prediction, tolerance))
        for record, (known, prediction) in enumerate(zip(batch, predictions, strict=True), start=first)
    ]
