"""Lets a new model into production only if it wins against the one that is there.

Owns the order of the steps: read the criteria, find the champion, ask both the held-out set, compare, tell, and skip
what follows. The comparison stands in ``challenge``, the asking in ``hooks/held_out``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralTimeout,
)

from sagemaker_byoc.challenge import Challenge, read_criteria
from sagemaker_byoc.errors import TransformJobError
from sagemaker_byoc.held_out import HeldOutSet, is_held_out, require_set
from sagemaker_byoc.hooks.challenge import find_champion, live_model, reject_loser
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.held_out import HeldOutTest
from sagemaker_byoc.hooks.job_stop import stop_patiently, stop_patiently_if_left
from sagemaker_byoc.hooks.known_record import KnownRecordHook
from sagemaker_byoc.hooks.model_package import ModelPackageHook
from sagemaker_byoc.hooks.training_job_end import result_of
from sagemaker_byoc.hooks.transform_job import TransformJobHook, paid_job
from sagemaker_byoc.limit import number
from sagemaker_byoc.model_package import ModelPackage, group_name, package_arn
from sagemaker_byoc.request import require_text
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.run import RunIdentity
from sagemaker_byoc.triggers.transform_job import TransformJobTrigger
from sagemaker_byoc.triggers.watch import look_until_on_worker

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context, XComArg

    from sagemaker_byoc.challenge import Criterion
    from sagemaker_byoc.hooks.held_out import RunningJob, Scores

__all__ = ["EvaluateChallengerOperator"]

JOBS_KEY = "transform_jobs"
"""XCom that holds the jobs while the task waits: after a timeout Airflow tells the task nothing else."""


class EvaluateChallengerOperator(BaseOperator):
    """Compare a new model's metrics with the champion's; skip what follows unless it wins.

    The champion is the version that the endpoint serves, if it is approved or has passed its smoke test, so that it
    stays who it is when an earlier model is put back. Where the endpoint serves none of the group, or none is named, it
    is the newest approved version. The model's own job never counts. The champion's metrics are those that
    ``RegisterModelOperator`` kept with it. Without a champion, only the limits count. A metric that one of the two
    lacks fails the task for good.

    Metrics of the jobs may be about different data. With ``records``, a held-out set, both models are asked the same
    questions, by batch transform jobs, which end by themselves: ``held_out:accuracy`` is the share of right answers,
    and ``held_out:mean_absolute_error`` is there where labels and answers are numbers. A job is named by its model and
    its questions, so that a retry, or another run, takes the one that is there. What came out is kept with both
    versions: a champion that was asked this set before needs no job. One that serves is asked by the model that
    serves; of another one a model is made from its version, with the role and settings of ``model_name``. A job
    that fails, or leaves answers that cannot be used, fails the task for good; clearing it asks again what failed.
    Whoever kills the task stops the jobs that its run made.

    When the model does not win, the task ends skipped, and so does what follows by Airflow's default trigger rule. The
    comparison is in the log, and the task's XCom in both cases: ``{"passed", "reasons", "champion":
    {"model_package_arn", "version", "approval_status"} or None, "challenger": {"training_job_name",
    "model_package_group", "model_package_arn"}, "comparison": [{"metric", "goal", "challenger",
    "champion", "margin", "limit", "passed"}], "held_out": {"digest", "records"} or None, "table"}``. Give
    it to ``CreateEndpointOperator`` as ``challenge``, since the champion may be another one by the time that the
    deployment has its turn.

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
    :param model_name: the new model, which is asked the held-out set: what ``CreateModelOperator`` returned (templated)
    :param records: the held-out set: CSV with a header, a JSON array of objects, or one JSON object in each line, as a
        path on the worker, an ``s3://`` URI or the text itself; or a list of dictionaries. Empty, as a setting that was
        left out, is no held-out set (templated)
    :param label_column: the column of the right answers (templated)
    :param held_out_criteria: further ``criteria`` that count only where there are records (templated)
    :param checker: import path of a function that judges the answers in place of the labels, as in
        ``InvokeSmokeTestOperator`` (templated)
    :param tolerance: for a regression, the largest difference that counts as right (templated)
    :param content_type: of the questions: ``text/csv`` with the column names in the first line, ``text/csv;
        header=absent`` without, or ``application/json`` as ``{"instances": [{column: value}]}``
    :param accept: content type asked for in the answers; JSON and CSV are understood
    :param transform_uri: ``s3://`` URI of a folder for questions and answers, which are kept there (templated)
    :param transform_config: CreateTransformJob request (templated). ``TransformResources`` has to be there; names,
        input and output are filled in. The set goes into one request if it is no larger than ``MaxPayloadInMB``,
        otherwise into as few as halving gives
    :param only_check: read and check the criteria, the records and how they would be asked, and ask nothing: for a task
        before the training, so that what is wrong with them costs nothing. Returns ``{"records": their number}``
    :param deferrable: wait for the jobs in the triggerer instead of on a worker
    :param poll_interval_seconds: pause between two looks at the jobs
    :param stop_on_kill: stop the jobs that this run made when a person clears, fails or marks the task, and when its
        ``execution_timeout`` is over
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
        "model_name",
        "records",
        "label_column",
        "held_out_criteria",
        "checker",
        "tolerance",
        "transform_uri",
        "transform_config",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {  # noqa: RUF012 - as Airflow declares it
        "criteria": "json",
        "held_out_criteria": "json",
        "transform_config": "json",
    }
    ui_color = "#ffe6cc"

    def __init__(
        self,
        *,
        model_package_group: str | None,
        criteria: dict[str, Any],
        training_job: dict[str, Any] | str | XComArg | None = None,
        model_package: dict[str, Any] | str | XComArg | None = None,
        endpoint_name: str | None = None,
        model_name: str | XComArg | None = None,
        records: str | list[dict[str, Any]] | None = None,
        label_column: str | None = None,
        held_out_criteria: dict[str, Any] | None = None,
        checker: str | None = None,
        tolerance: float | str | None = None,
        content_type: str = "text/csv",
        accept: str = "application/json",
        transform_uri: str | None = None,
        transform_config: dict[str, Any] | None = None,
        only_check: bool = False,
        deferrable: bool = True,
        poll_interval_seconds: float = 5.0,
        stop_on_kill: bool = True,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.training_job = cast("dict[str, Any] | str | None", training_job)  # rendered before it is used
        self.model_package_group = model_package_group
        self.criteria = criteria
        self.model_package = cast("dict[str, Any] | str | None", model_package)  # rendered before it is used
        self.endpoint_name = endpoint_name
        self.model_name = cast("str | None", model_name)  # rendered before it is used
        self.records = records
        self.label_column = label_column
        self.held_out_criteria = held_out_criteria
        self.checker = checker
        self.tolerance = tolerance
        self.content_type = content_type
        self.accept = accept
        self.transform_uri = transform_uri
        self.transform_config = transform_config
        self.only_check = only_check
        self.deferrable = deferrable
        self.poll_interval_seconds = poll_interval_seconds
        self.stop_on_kill = stop_on_kill
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config
        self._own_jobs: list[str] = []
        self._running_as: Any = None
        self._is_killed = False

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare, tell, and skip what follows unless the new model wins."""
        with fail_fast():
            return self._check(context) if self.only_check else self._advance(context, ())

    def execute_complete(self, context: Context, event: dict[str, Any], jobs: dict[str, list[str]]) -> dict[str, Any]:
        """Go on when the jobs have ended.

        :param jobs: names of those that were waited for, and of those among them that this run made
        """
        with fail_fast():
            if "error" in event:
                message = f"The wait for {', '.join(jobs['names'])} broke off, they may still run: {event['error']}"
                raise TransformJobError(message)
            return self._advance(context, jobs["names"])

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on after the wait; stop the jobs when the time was over."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except TaskDeferralTimeout as error:
            ti = context["ti"]
            jobs = ti.xcom_pull(task_ids=ti.task_id, key=JOBS_KEY, map_indexes=ti.map_index)
            raise self._timeout(**jobs) from error

    def on_kill(self) -> None:
        """Stop the jobs of this run, if a person ended the task while it made them, or waited on the worker."""
        self._is_killed = True
        if self.stop_on_kill:
            for name in self._own_jobs:
                stop_patiently_if_left(paid_job(self._connection, name), self._running_as, "running", log=self.log)

    def _check(self, context: Context) -> dict[str, Any]:
        self._group()
        test = self._held_out_test(context, ())
        self._criteria(test.questions if test else None)
        records = len(test.questions.records) if test else 0
        self.log.info("%d held-out records can be asked.", records)
        return {"records": records}

    def _group(self) -> str:
        group = group_name(self.model_package_group)
        if not group:
            raise AirflowSkipException("there is no model_package_group, so that there is no champion either")
        return group

    def _advance(self, context: Context, waited: Sequence[str]) -> dict[str, Any]:
        """Compare, and wait for what has to be known before that.

        :param waited: names of the jobs that were waited for
        """
        group = self._group()
        while True:
            test = self._held_out_test(context, waited)
            criteria = self._criteria(test.questions if test else None)
            own_arn = package_arn(self.model_package) if self.model_package else None
            job = result_of(self._connection, self.training_job, "training_job_name", with_metrics=True)
            live_config = self._live_config()
            champion = find_champion(self._connection, group, job["training_job_name"], live_config)
            # What the jobs printed costs nothing to compare: what is missing there is told before models are asked.
            _challenge([one for one in criteria if not is_held_out(one.metric)], job, champion, None)
            scores = self._scores(test, own_arn, champion, live_config) if test else None
            if scores is None or not scores.running:
                break
            waited = self._wait(context, scores.running)
        challenge = _challenge(criteria, job, champion, scores)
        challenger = {
            "training_job_name": job["training_job_name"],
            "model_package_group": group,
            "model_package_arn": own_arn,
        }
        verdict = _verdict(challenge, champion, challenger, test.questions if test else None)
        return self._end(context, verdict, champion)

    def _end(self, context: Context, verdict: dict[str, Any], champion: ModelPackage | None) -> dict[str, Any]:
        """Tell what was compared; return it only if the new model wins."""
        challenger = verdict["challenger"]
        group, own_arn = challenger["model_package_group"], challenger["model_package_arn"]
        against = f"version {champion.version} of {group}" if champion else f"the limits ({group} has no champion)"
        self.log.info("Challenger %s against %s.\n%s", challenger["training_job_name"], against, verdict["table"])
        if verdict["passed"]:
            return verdict
        # A task that skips has no return value; what follows by another trigger rule asks for it.
        context["ti"].xcom_push(key="return_value", value=verdict)
        reason = f"The new model does not win against {against}: {'; '.join(verdict['reasons'])}."
        if own_arn:
            reject_loser(self._connection, own_arn, reason, self._live_config(), self.log)
        raise AirflowSkipException(reason)

    def _criteria(self, questions: HeldOutSet | None) -> list[Criterion]:
        """Read the criteria that count, and see to it that each can be met."""
        criteria = read_criteria(self.criteria)
        if questions is None:
            require_set(criterion.metric for criterion in criteria)
            return criteria
        if self.held_out_criteria:
            more = read_criteria(self.held_out_criteria, "held_out_criteria")
            criteria = [one for one in criteria if one.metric not in self.held_out_criteria] + more
        questions.check_metrics([criterion.metric for criterion in criteria])
        return criteria

    def _held_out_test(self, context: Context, waited: Sequence[str]) -> HeldOutTest | None:
        if not self.records or self.records == "None":
            return None
        label_column = require_text(self.label_column, "label_column", "the column of the right answers")
        records = KnownRecordHook(self._connection).read(self.records, label_column)
        return HeldOutTest(
            self._connection,
            HeldOutSet(records, self.checker, number("tolerance", self.tolerance)),
            RunIdentity.of(context),
            self.log,
            uri=self.transform_uri,
            config=self.transform_config,
            content_type=self.content_type,
            accept=self.accept,
            waited=waited,
        )

    def _scores(
        self, test: HeldOutTest, own_arn: str | None, champion: ModelPackage | None, live_config: str | None
    ) -> Scores:
        model_name = require_text(self.model_name, "model_name", "the model that CreateModelOperator made")
        own = ModelPackageHook(self._connection).describe(own_arn) if own_arn else None
        return test.scores(own, model_name, champion, lambda: live_model(self._connection, champion, live_config))

    def _wait(self, context: Context, running: Sequence[RunningJob]) -> list[str]:
        """Wait until all jobs have ended, which is not here if the wait is deferred."""
        names, own = [job.name for job in running], [job.name for job in running if job.own]
        self._own_jobs, self._running_as = own, context["ti"]
        if self._is_killed:
            # Airflow only interrupts the call that makes a job, and then lets it go on.
            self.on_kill()
        if self.deferrable:
            context["ti"].xcom_push(key=JOBS_KEY, value={"names": names, "own": own})
            trigger = TransformJobTrigger(
                connection=self._connection.serialize(),
                names=names,
                stopped_on_kill=own if self.stop_on_kill else (),
                poll_interval_seconds=self.poll_interval_seconds,
            )
            self.defer(
                trigger=trigger,
                method_name="execute_complete",
                kwargs={"jobs": {"names": names, "own": own}},
                timeout=self.execution_timeout,
            )
        hook = TransformJobHook(self._connection)
        try:
            look_until_on_worker(
                all,
                lambda: [hook.look(name).ended for name in names],
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
        except AirflowTaskTimeout as error:
            raise self._timeout(names, own) from error
        finally:
            self._own_jobs = []
        return names

    def _timeout(self, names: Sequence[str], own: Sequence[str]) -> AirflowFailException | AirflowTaskTimeout:
        """Return the end of the time: a retry takes up jobs that go on, but would pay for stopped ones again."""
        told = f"{', '.join(names)} did not end within the execution_timeout of {self.execution_timeout}"
        if not self.stop_on_kill or not own:
            return AirflowTaskTimeout(f"{told}; what this run did not make, or may not stop, goes on.")
        for name in own:
            stop_patiently(paid_job(self._connection, name), log=self.log)
        return AirflowFailException(f"{told}; {', '.join(own)} stopped.")

    def _live_config(self) -> str | None:
        look = EndpointHook(self._connection).look(self.endpoint_name) if self.endpoint_name else None
        return look.live_config if look is not None else None

    @property
    def _connection(self) -> AwsConnection:
        return AwsConnection.of(self)


def _challenge(
    criteria: Sequence[Criterion], job: Mapping[str, Any], champion: ModelPackage | None, scores: Scores | None
) -> Challenge:
    challenger, opponent = dict(job["metrics"]), None
    if champion is not None:
        opponent = champion.metrics_as([criterion.metric for criterion in criteria])
    if scores is not None:
        challenger |= scores.challenger
        opponent = None if opponent is None else {**opponent, **scores.champion}
    return Challenge.between(criteria, challenger, opponent)


def _verdict(
    challenge: Challenge, champion: ModelPackage | None, challenger: dict[str, Any], questions: HeldOutSet | None
) -> dict[str, Any]:
    return {
        "passed": not challenge.reasons,
        "reasons": challenge.reasons,
        "champion": champion.result() if champion else None,
        "challenger": challenger,
        "comparison": [comparison.as_json() for comparison in challenge.comparisons],
        "held_out": {"digest": questions.digest, "records": len(questions.records)} if questions else None,
        "table": challenge.table(),
    }
