"""Asks an endpoint questions whose answers are known.

Owns the parameters, the report, the verdict and the words about a failure. How the endpoint is asked stands in
``hooks/smoke_test``, what follows a failure in ``operators/rollback``.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowTaskTimeout

from sagemaker_byoc.config_history import PASSED
from sagemaker_byoc.errors import EndpointGoneError, EndpointSupersededError, RequestError, SmokeTestError
from sagemaker_byoc.hooks.claim import held_until_tested
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.report import ReportFile
from sagemaker_byoc.hooks.smoke_test import SmokeTest
from sagemaker_byoc.limit import Limits, count, number
from sagemaker_byoc.links import EndpointLink, LogLink, push_endpoint
from sagemaker_byoc.operators.rollback import TABLE, Rollback
from sagemaker_byoc.request import as_flag, as_mapping, require_text
from sagemaker_byoc.restoration import Deployed
from sagemaker_byoc.retry import fail_fast, is_permanent
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.triggers.watch import look_until_on_worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from contextlib import AbstractContextManager

    from airflow.sdk import Context, XComArg

    from sagemaker_byoc.candidate import Candidate
    from sagemaker_byoc.smoke_test import SmokeTestReport

__all__ = ["InvokeSmokeTestOperator"]


class InvokeSmokeTestOperator(BaseOperator):
    """Ask the endpoint for predictions with known answers; fail if too many are wrong or they come too late.

    The records are checked before anything is sent, and their labels are not sent. Below a limit the task fails
    without a retry, with the wrong answers in its message. So it does when a container answers with an error, with what
    cannot be read, or not at all; the message then says which records were asked, and where the log is. A pass or a
    rollback that is through lets the next run deploy that waits for the endpoint (see ``CreateEndpointOperator``); a
    candidate that passes keeps it for ``ShiftTrafficOperator``. After any other end the run keeps it until it is over.

    The report is the task's XCom in all these cases: ``{"endpoint_name", "variant", "records", "correct", "accuracy",
    "minimum_accuracy", "maximum_p50_latency_ms", "maximum_latency_ms", "maximum_p99_latency_ms", "latency_ms": {"p50",
    "p95", "p99", "max"}, "repeats", "predictions": [{"record", "label", "prediction", "correct"}], "variants",
    "violations", "passed"}``. ``latency_ms`` is empty when nothing was measured. ``variants`` has ``{"variant",
    "records", "correct", "accuracy", "unstable", "latency_ms", "violations", "passed"}`` of each variant; with several,
    the numbers above are those of all together, and each prediction has its ``variant``. With repeats, a prediction has
    ``every`` answer and whether they are ``stable``, which is to say the same; with a checker's reason it has ``why``.

    With ``deployment``, a test that fails (wrong answers, errors of the container, answers that come too late or cannot
    be read, an endpoint that somebody has deleted) is followed by a rollback: the endpoint gets back what was live
    before, that is waited for, the restored model is asked the same records once (that it answers; its accuracy is told
    and not judged), and then the task fails with both: what failed, and what is live now. So is a test that cannot come
    to a verdict, since its model would stay untested: bad input, records or a checker that fail, a report that cannot
    be written, and on the last try also what passes, such as a busy AWS or an ``execution_timeout`` that is over. If
    the worker dies meanwhile, the next try goes on with the rollback. A later deployment is left alone. How the test
    ended is kept as the tag ``smoke_test`` of the configuration. ``execution_timeout`` does not cut off the wait for
    the rollback in the triggerer.

    Of a deployment with ``strategy="candidate"`` only the candidate's variants are asked, which no client sees. A task
    that is cleared after the candidate was promoted asks the endpoint that is all its own by then.

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
    :param records: CSV with a header, a JSON array of objects, or one JSON object in each line, as a path on the
        worker, an ``s3://`` URI or the text itself; or a list of dictionaries (templated). ``.csv``, ``.json``,
        ``.jsonl`` and ``.ndjson`` say what a file is; in others, what begins with ``[`` or ``{`` is JSON
    :param label_column: the column of the right answers (templated)
    :param checker: import path of a function, ``package.module.function`` or ``package.module:function``, that judges
        the answers in place of the labels (templated). It is called with the features as a dictionary (the values of
        CSV are text), the label and the prediction, and returns whether the prediction is right, or a text that says
        why it is wrong
    :param content_type: of the requests: ``text/csv`` with the column names in the first line, ``text/csv;
        header=absent`` without, or ``application/json`` as ``{"instances": [{column: value}]}``
    :param accept: content type asked for in the answers; JSON and CSV are understood
    :param minimum_accuracy: lowest share of right answers, 0 to 1 (templated)
    :param maximum_latency_ms: highest 95th percentile of the time of a request; None is no limit (templated)
    :param maximum_p50_latency_ms: highest median of that time; None is no limit (templated)
    :param maximum_p99_latency_ms: highest 99th percentile of that time; None is no limit (templated)
    :param minimum_records: refuse a smaller test (templated)
    :param tolerance: for a regression, the largest difference that counts as right (templated)
    :param warm_up_requests: requests before the measured ones, to each variant
    :param batch_size: records per request; with 1 the times are those of single records
    :param repeats: ask all records so many times (templated). A record is right if all its answers are; one that is not
        answered in the same way each time is reported as unstable
    :param target_variant: ask this variant instead of letting the weights choose (templated)
    :param target_variants: ask each of these variants, each of which has to pass (templated)
    :param each_variant: ask each production variant that the endpoint has, each of which has to pass (templated)
    :param invoke_config: further members of the InvokeEndpoint request (templated)
    :param report_uri: ``s3://`` URI to which the report is written as JSON with all predictions, whether the test
        passed or not (templated); None writes none. A report that cannot be written fails a test that passed
    :param gives_back: whether a verdict of this test lets the next run deploy, as said above. Of several tests in a run
        only the last one may, so that none asks another run's model; give the others False. A mapped test never does:
        the run keeps the endpoint until it is over
    :param only_check: read and check the records, the checker and the limits, and ask nothing: for a task before the
        training, so that what is wrong with them costs nothing. Returns ``{"records": their number}``
    :param maximum_rows_in_table: rows that the log, the message and the XCom hold at most
    :param deferrable: wait for a rollback in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at an endpoint that is rolled back
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``; ``read_timeout`` is the time that an answer
        may take, 70 seconds unless given
    """

    template_fields: Sequence[str] = (
        "endpoint_name",
        "endpoint_config_name",
        "deployment",
        "rollback",
        "records",
        "label_column",
        "checker",
        "minimum_accuracy",
        "maximum_latency_ms",
        "maximum_p50_latency_ms",
        "maximum_p99_latency_ms",
        "minimum_records",
        "tolerance",
        "repeats",
        "target_variant",
        "target_variants",
        "each_variant",
        "invoke_config",
        "report_uri",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"invoke_config": "json", "deployment": "json"}  # noqa: RUF012 - as Airflow declares it
    operator_extra_links = (EndpointLink(), LogLink())
    ui_color = "#fff2cc"

    def __init__(
        self,
        *,
        records: str | list[dict[str, Any]],
        label_column: str,
        checker: str | None = None,
        endpoint_name: str | None = None,
        endpoint_config_name: str | None = None,
        deployment: dict[str, Any] | str | XComArg | None = None,
        rollback: bool | str = True,
        on_failure: str = "keep",
        content_type: str = "text/csv",
        accept: str = "application/json",
        minimum_accuracy: float | str = 0.9,
        maximum_latency_ms: float | str | None = None,
        maximum_p50_latency_ms: float | str | None = None,
        maximum_p99_latency_ms: float | str | None = None,
        minimum_records: int | str = 1,
        tolerance: float | str | None = None,
        warm_up_requests: int = 1,
        batch_size: int = 1,
        repeats: int | str = 1,
        target_variant: str | None = None,
        target_variants: list[str] | None = None,
        each_variant: bool | str = False,
        invoke_config: dict[str, Any] | None = None,
        report_uri: str | None = None,
        gives_back: bool = True,
        only_check: bool = False,
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
        self.checker = checker
        self.content_type = content_type
        self.accept = accept
        self.minimum_accuracy = minimum_accuracy
        self.maximum_latency_ms = maximum_latency_ms
        self.maximum_p50_latency_ms = maximum_p50_latency_ms
        self.maximum_p99_latency_ms = maximum_p99_latency_ms
        self.minimum_records = minimum_records
        self.tolerance = tolerance
        self.warm_up_requests = warm_up_requests
        self.batch_size = batch_size
        self.repeats = repeats
        self.target_variant = target_variant
        self.target_variants = target_variants
        self.each_variant = each_variant
        self.invoke_config = invoke_config
        self.report_uri = report_uri
        self.gives_back = gives_back
        self.only_check = only_check
        self.maximum_rows_in_table = maximum_rows_in_table
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Ask, report and judge; go back if that ends badly."""
        if self.only_check:
            return self._check()
        with fail_fast():
            deployed = self._deployed()
            with self._held(context, deployed):
                return self._test(context, deployed) if deployed else self._ask_and_judge(context, None)

    def _test(self, context: Context, deployed: Deployed) -> dict[str, Any]:
        """Test a deployment, or go on with the way back that an earlier try began."""
        rollback, data = self._rollback(context, deployed), {}
        try:
            deployed = self._as_it_stands(deployed)
            rollback = self._rollback(context, deployed)
            if not (failure := rollback.interrupted()):
                data = self._ask_and_judge(context, deployed)
        except EndpointSupersededError:
            raise
        except (Exception, AirflowTaskTimeout) as error:
            # A model that nobody will test any more must not stay, whatever kept the test from its end.
            if not (is_permanent(error) or RunIdentity.of(context).is_last_try):
                raise
            failure = _failure(error)
            rollback.note_failure(failure)
            rollback.fail(failure)
        if failure:
            rollback.fail(failure)
        rollback.note(PASSED)
        return data

    def _check(self) -> dict[str, int]:
        with fail_fast():
            questions = self._smoke_test(self.endpoint_name).prepare().questions
            records = sum(len(question.records) for question in questions)
            self.log.info("%d records can be asked.", records)
            return {"records": records}

    def execute_complete(
        self, context: Context, event: dict[str, Any], goal: dict[str, Any], sent: str, failure: str
    ) -> None:
        """Go on with a rollback after a wait, and fail in the end.

        :param goal: what is being put back, as the deployment says as well
        :param sent: what the endpoint was told before the wait
        :param failure: what the test found
        """
        with fail_fast():
            deployed = cast("Deployed", self._deployed())
            with self._held(context, deployed):
                if "error" in event:
                    broke_off = f"The wait for {goal['config_name']} to be live again broke off: {event['error']}"
                    raise SmokeTestError(f"{failure}\n{broke_off}")
                self._rollback(context, deployed).fail(failure, sent=sent)

    def _deployed(self) -> Deployed | None:
        """Read what was deployed; the explicit parameters win."""
        deployed = Deployed.of(self.deployment)
        if deployed is None:
            return None
        name = self.endpoint_name or deployed.endpoint_name
        return replace(deployed, endpoint_name=name, config_name=self._config_to_test(deployed) or "")

    def _as_it_stands(self, deployed: Deployed) -> Deployed:
        """Tell a candidate that was promoted since: it has a configuration to itself, which a cleared test means.

        A configuration that somebody has named stays the one that is meant.
        """
        if deployed.candidate is None or self.endpoint_config_name is not None:
            return deployed
        hook, name, final = EndpointHook(self._connection), deployed.endpoint_name, deployed.candidate.final_name
        look = hook.look(name)
        if look is not None and look.pending_config == final:
            look = look_until_on_worker(
                lambda look: look is None or not look.changing,
                lambda: hook.look(name),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
        return replace(deployed, config_name=final) if look is not None and look.live_config == final else deployed

    def _ask_and_judge(self, context: Context, deployed: Deployed | None) -> dict[str, Any]:
        """Check everything that can be checked before the endpoint is asked; then ask it.

        :raises SmokeTestError: it is not good enough
        """
        file = ReportFile.at(self._connection, self.report_uri) if self.report_uri is not None else None
        config_name = deployed.config_name if deployed else self._config_to_test(None)
        test = self._smoke_test(deployed.endpoint_name if deployed else self.endpoint_name)
        if deployed is not None and deployed.candidate is not None:
            test = _aimed(test, deployed.candidate, is_promoted=deployed.is_promoted)
        prepared = test.prepare()
        push_endpoint(context, self._connection.region, test.endpoint_name)
        return self._judge(context, prepared.ask(config_name), config_name, file)

    def _held(self, context: Context, deployed: Deployed | None) -> AbstractContextManager[None]:
        """Let the next run deploy once the model is proven or gone; a candidate that passes gets its traffic first."""
        name = deployed.endpoint_name if deployed else self.endpoint_name
        goes_on = deployed is not None and deployed.candidate is not None
        run = RunIdentity.of(context)
        if run.map_index >= 0 or not self.gives_back:
            # Other tests of the run may still be asking its model.
            name = None
        return held_until_tested(self._connection, run, name, goes_on=goes_on)

    def _config_to_test(self, deployed: Deployed | None) -> str | None:
        if self.endpoint_config_name is not None:
            allowed = "the configuration to test, or None"
            return require_text(self.endpoint_config_name, "endpoint_config_name", allowed)
        return deployed.config_name if deployed else None

    def _rollback(self, context: Context, deployed: Deployed) -> Rollback:
        def ask(config_name: str) -> SmokeTestReport:
            test = self._smoke_test(deployed.endpoint_name)
            if deployed.candidate is not None:
                # The model that is put back has no variants of the candidate's names.
                test = replace(test, target_variants=(), each_variant=False)
            return test.prepare().ask(config_name)

        return Rollback(self, deployed, ask, RunIdentity.of(context))

    def _judge(
        self, context: Context, report: SmokeTestReport, config_name: str | None, file: ReportFile | None
    ) -> dict[str, Any]:
        """Tell what was answered, in the log, the XCom and the file.

        :raises SmokeTestError: it is not good enough
        """
        data = report.as_json(self.maximum_rows_in_table)
        whole = {**report.as_json(), "endpoint_config_name": config_name}
        self.log.info("%s\n%s", report.summary(), report.table(self.maximum_rows_in_table))
        if report.violations():
            # A task that fails has no return value; the report is wanted all the more.
            context["ti"].xcom_push(key="return_value", value=data)
            self._write_if_possible(file, whole)
            raise SmokeTestError(self._story(report))
        if file is not None:
            self._write(file, whole)
        return data

    def _smoke_test(self, endpoint_name: str | None) -> SmokeTest:
        return SmokeTest(
            self._connection,
            require_text(endpoint_name, "endpoint_name", "the name of an endpoint that is in service"),
            self.records,
            self.label_column,
            limits=self._limits(),
            checker=self.checker,
            content_type=self.content_type,
            accept=self.accept,
            warm_up_requests=self.warm_up_requests,
            batch_size=self.batch_size,
            repeats=count("repeats", self.repeats),
            target_variants=self._targets(),
            each_variant=as_flag(self.each_variant, "each_variant"),
            invoke_config=as_mapping(self.invoke_config or {}, "invoke_config"),
        )

    def _limits(self) -> Limits:
        return Limits(
            minimum_accuracy=number("minimum_accuracy", self.minimum_accuracy, missing=0.9),
            maximum_latency_ms=number("maximum_latency_ms", self.maximum_latency_ms),
            minimum_records=number("minimum_records", self.minimum_records, missing=1.0),
            tolerance=number("tolerance", self.tolerance),
            maximum_p50_latency_ms=number("maximum_p50_latency_ms", self.maximum_p50_latency_ms),
            maximum_p99_latency_ms=number("maximum_p99_latency_ms", self.maximum_p99_latency_ms),
        )

    def _targets(self) -> list[str]:
        """Bring the three ways of naming variants to one; none is left to the weights, or to the endpoint."""
        given = {
            "target_variant": self.target_variant or None,
            "target_variants": self.target_variants,
            "each_variant": as_flag(self.each_variant, "each_variant") or None,
        }
        chosen = [name for name, value in given.items() if value is not None]
        if len(chosen) > 1:
            raise RequestError(chosen[1], given[chosen[1]], f"nothing beside {chosen[0]}", "Choose one of the two.")
        if self.target_variant:
            return [self.target_variant]
        return _variant_names(self.target_variants) if self.target_variants is not None else []

    def _write(self, file: ReportFile, whole: Mapping[str, Any]) -> None:
        file.write(whole)
        self.log.info("The whole report is at %s.", file.uri)

    def _write_if_possible(self, file: ReportFile | None, whole: Mapping[str, Any]) -> None:
        if file is None:
            return
        try:
            self._write(file, whole)
        except Exception as error:  # noqa: BLE001 - whatever it is, the task fails with the test's own reason
            self.log.warning("The report could not be written to %s: %s", file.uri, error)

    def _story(self, report: SmokeTestReport) -> str:
        where = f" in the variants {', '.join(report.failed_variants)}" if len(report.variants) > 1 else ""
        violations = report.violations()
        space = "\n" if len(violations) > 1 else " "
        text = f"Endpoint {report.endpoint_name} is not good enough{where}:{space}{space.join(violations)}"
        wrong = report.table(self.maximum_rows_in_table, only_wrong=True)
        return f"{text}{TABLE}\n{wrong}" if report.wrong else text

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


def _failure(error: BaseException) -> str:
    """Return what a test found, or why it found nothing."""
    if isinstance(error, (SmokeTestError, EndpointGoneError)):
        return str(error)
    return f"The test came to no verdict: {type(error).__name__}: {error}"


def _aimed(test: SmokeTest, candidate: Candidate, *, is_promoted: bool) -> SmokeTest:
    """Return the test of a candidate's variants: never of the live ones beside it, which are another model."""
    if is_promoted:
        return replace(test, target_variants=candidate.final_targets(test.target_variants))
    return replace(test, target_variants=candidate.targets(test.target_variants), each_variant=False)


def _variant_names(given: Any) -> list[str]:
    allowed = "a list of one or more names of variants, each once"
    if not isinstance(given, (list, tuple)) or not given or not all(isinstance(name, str) and name for name in given):
        remedy = "each_variant=True asks all that the endpoint has."
        raise RequestError("target_variants", given, allowed, remedy)
    if len(set(given)) != len(given):
        raise RequestError("target_variants", given, allowed)
    return list(given)
