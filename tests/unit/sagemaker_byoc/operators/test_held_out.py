"""The gate with a held-out set: what both models are asked, and what it costs."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferred,
)

from sagemaker_byoc.errors import TransformJobError
from sagemaker_byoc.operators.challenge import EvaluateChallengerOperator
from tests.support.airflow_pipe import note, task_is
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_registry import GROUP, FakeRegistry
from tests.support.fake_transform import FakeTransform, labels
from tests.support.task_run import TaskRun, remade

JOB = {"training_job_name": "iris-2", "metrics": {"accuracy": 0.9}}
RECORDS = [{"length": length, "label": "short" if length < 3 else "long"} for length in (1, 2, 3, 4)]
RESOURCES = {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": "1"}}
IMAGE = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/iris@sha256:" + "0" * 64
ROLE = "arn:aws:iam::123456789012:role/SageMaker"
ACCURACY = {"held_out:accuracy": "maximize"}
THEN = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture
def registry(aws: FakeAws) -> FakeRegistry:
    """A registry without groups."""
    return FakeRegistry(aws)


@pytest.fixture
def transform(aws: FakeAws, registry: FakeRegistry) -> FakeTransform:
    """Models that are always right, of which one is the challenger's."""
    transform = FakeTransform(aws)
    container = {"Image": IMAGE, "ModelDataUrl": "s3://bucket/models/iris-2/model.tar.gz", "Environment": {"A": "1"}}
    transform._create_model(ModelName="challenger", PrimaryContainer=container, ExecutionRoleArn=ROLE)
    return transform


def operator(**changes: Any) -> EvaluateChallengerOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "training_job": JOB,
        "model_package_group": GROUP,
        "criteria": {"accuracy": "maximize"},
        "model_name": "challenger",
        "records": RECORDS,
        "label_column": "label",
        "held_out_criteria": ACCURACY,
        "transform_uri": "s3://bucket/held-out",
        "transform_config": RESOURCES,
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
    }
    return EvaluateChallengerOperator(task_id="evaluate", **settings | changes)


def champion(registry: FakeRegistry, approval: str = "Approved", **properties: str) -> str:
    """Register a version that every printed metric makes as good as the challenger; return its ARN."""
    arn = registry.holds(approval, training_job="iris-1", metric_accuracy="0.9", **properties)
    container = {"Image": IMAGE, "ImageDigest": "sha256:1", "ModelDataUrl": "s3://bucket/models/iris-1/model.tar.gz"}
    registry.packages[arn]["InferenceSpecification"] = {"Containers": [container]}
    return arn


def own_version(registry: FakeRegistry) -> str:
    """Register the challenger; return its ARN."""
    return registry.holds("PendingManualApproval", training_job="iris-2", metric_accuracy="0.9")


def kept(registry: FakeRegistry, arn: str) -> dict[str, str]:
    """Return what a version tells of a held-out set."""
    properties = registry.packages[arn]["CustomerMetadataProperties"]
    return {name: text for name, text in properties.items() if "held_out" in name}


def compared(verdict: dict[str, Any], metric: str = "held_out:accuracy") -> tuple[float, float | None]:
    """Return the values of both models in a metric."""
    [found] = [one for one in verdict["comparison"] if one["metric"] == metric]
    return found["challenger"], found["champion"]


def test_both_models_are_asked_the_same_questions(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """The labels are not sent, and one request has the whole set; the task waits without a worker."""
    champion(registry)
    transform.rules["challenger"] = labels("4")
    with pytest.raises(AirflowSkipException) as raised:
        (run := TaskRun()).of(operator())
    assert "held_out:accuracy 0.75 is not as good as the champion's 1" in str(raised.value)
    verdict = run.xcoms["return_value"]
    assert compared(verdict) == (0.75, 1.0)
    assert verdict["held_out"]["records"] == 4
    assert verdict["table"].count("NOT GOOD ENOUGH") == 1
    mine, theirs = aws.asked("CreateTransformJob")
    assert mine["ModelName"] == "challenger"
    assert mine["TransformInput"] == theirs["TransformInput"]
    assert mine["TransformOutput"]["S3OutputPath"].endswith(f"/answers/{mine['TransformJobName']}")
    assert mine["TransformResources"] == {"InstanceType": "ml.m5.large", "InstanceCount": 1}
    [question] = [body for key, body in transform.objects.items() if "/questions/" in key]
    assert question == b"length\n1\n2\n3\n4\n"
    assert len(run.deferrals) == 1


@pytest.mark.parametrize("approval", ["Approved", "PendingManualApproval"])
def test_the_champions_model_is_made_from_its_version(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform, approval: str
) -> None:
    """With the challenger's role and settings, tagged for the clean-up, whether the registry has its approval yet."""
    arn = champion(registry, approval)
    aws.on("ListModelPackages", {"ModelPackageSummaryList": []})
    live = {"Tags": [{"Key": "model_package", "Value": arn}, {"Key": "smoke_test", "Value": "passed"}]}
    config = {"EndpointConfigName": "live", "EndpointConfigArn": "arn", "ProductionVariants": [], "CreationTime": THEN}
    state = {"EndpointName": "iris", "EndpointArn": "arn", "EndpointStatus": "InService", "EndpointConfigName": "live"}
    aws.on("DescribeEndpoint", {**state, "CreationTime": THEN, "LastModifiedTime": THEN})
    aws.on("DescribeEndpointConfig", config)
    aws.on("ListTags", live)
    TaskRun().of(operator(endpoint_name="iris"))
    request = aws.asked("CreateModel")[0]
    assert request["ExecutionRoleArn"] == ROLE
    assert request["PrimaryContainer"] == {
        "Image": IMAGE,
        "ModelDataUrl": "s3://bucket/models/iris-1/model.tar.gz",
        "Environment": {"A": "1"},
    }
    assert {"Key": "project", "Value": "sagemaker-byoc"} in request["Tags"]


def test_a_champion_that_serves_is_asked_by_the_model_that_serves(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """It may have another image or environment than its version tells, and clients have what it answers."""
    arn = champion(registry)
    transform._create_model(ModelName="serving", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
    live = {"Tags": [{"Key": "model_package", "Value": arn}, {"Key": "smoke_test", "Value": "passed"}]}
    variants = [{"VariantName": "AllTraffic", "ModelName": "serving"}]
    config = {"EndpointConfigName": "live", "EndpointConfigArn": "arn", "CreationTime": THEN}
    state = {"EndpointName": "iris", "EndpointArn": "arn", "EndpointStatus": "InService", "EndpointConfigName": "live"}
    aws.on("DescribeEndpoint", {**state, "CreationTime": THEN, "LastModifiedTime": THEN})
    aws.on("DescribeEndpointConfig", {**config, "ProductionVariants": variants})
    aws.on("ListTags", live)
    TaskRun().of(operator(endpoint_name="iris"))
    assert [request["ModelName"] for request in aws.asked("CreateTransformJob")] == ["challenger", "serving"]
    assert not aws.asked("CreateModel")


def test_a_quota_of_one_job_asks_one_model_after_the_other(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """The first job would hold the quota through all retries, and be paid for in vain."""
    champion(registry)

    def create(**request: Any) -> dict[str, Any]:
        if any(job["TransformJobStatus"] == "InProgress" for job in transform.jobs.values()):
            raise AwsSays("ResourceLimitExceeded", "The account-level service limit for transform job usage is 1.")
        return transform.create(**request)

    aws.on("CreateTransformJob", create)
    run = TaskRun()
    assert compared(run.of(operator())) == (1.0, 1.0)
    assert len(transform.jobs) == len(run.deferrals) == 2


def test_a_model_that_was_made_anew_is_asked_again(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """Its version is that of the training job, and keeps what the model of before answered."""
    mine = own_version(registry)
    transform._create_model(ModelName="fixed", PrimaryContainer={"Image": IMAGE}, ExecutionRoleArn=ROLE)
    transform.rules["challenger"] = labels("4")
    assert compared(TaskRun().of(operator(model_package=mine)))[0] == 0.75
    assert compared(TaskRun().of(operator(model_package=mine, model_name="fixed")))[0] == 1.0
    assert kept(registry, mine)["metric:held_out:accuracy"] == "1.0"


def test_the_size_of_a_request_is_said(aws: FakeAws, registry: FakeRegistry, transform: FakeTransform) -> None:
    """AWS would ask the container for its own limit, and the set is cut by ours."""
    TaskRun().of(operator())
    assert [request["MaxPayloadInMB"] for request in aws.asked("CreateTransformJob")] == [6]


def test_what_came_out_is_kept_and_nobody_is_asked_again(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """Neither by a retry nor when the model is champion; another set is another question."""
    theirs, mine = champion(registry), own_version(registry)
    TaskRun().of(operator(model_package=mine))
    assert kept(registry, mine) == kept(registry, theirs)
    assert kept(registry, mine)["metric:held_out:accuracy"] == "1.0"
    assert registry.packages[mine]["CustomerMetadataProperties"]["training_job"] == "iris-2"
    del aws.calls[:]
    run = TaskRun()
    assert compared(run.of(operator(model_package=mine))) == (1.0, 1.0)
    assert not aws.asked("CreateTransformJob")
    assert not aws.asked("UpdateModelPackage")
    assert not run.deferrals
    TaskRun().of(operator(model_package=mine, records=RECORDS[:3]))
    assert len(aws.asked("CreateTransformJob")) == 2


def test_metrics_of_another_set_are_never_compared(registry: FakeRegistry, transform: FakeTransform) -> None:
    """A champion that was asked another set is asked this one, and what it keeps of the other goes."""
    theirs = champion(
        registry,
        held_out_digest="sha256:other",
        **{"metric:held_out:accuracy": "0.1", "metric:held_out:mean_absolute_error": "7"},
    )
    assert compared(TaskRun().of(operator())) == (1.0, 1.0)
    assert set(kept(registry, theirs)) == {"held_out_digest", "metric:held_out:accuracy"}


def test_a_retry_and_another_run_take_the_job_that_is_there(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """Without a version to keep anything with, the answers of the completed job are read again."""
    transform.goes_on = True
    for run in (TaskRun(), TaskRun(try_number=2), TaskRun(run_id="manual")):
        with pytest.raises(TaskDeferred) as deferral:
            operator().execute(run.context)
        registry.groups.setdefault(GROUP, {})
        assert deferral.value.trigger.names == list(transform.jobs)
        own = deferral.value.trigger.stopped_on_kill
        assert own == ([] if run.run_id == "manual" else list(transform.jobs)), "only its own"
    transform.goes_on = False
    for _ in range(2):
        assert compared(TaskRun(run_id="later").of(operator())) == (1.0, None)
    assert len(aws.asked("CreateTransformJob")) == 1


def test_a_job_that_another_run_made_at_the_same_moment_is_taken(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """The name is taken between the look and the call."""

    def create(**request: Any) -> dict[str, Any]:
        transform.create(**dict(request))
        return transform.create(**request)

    aws.on("CreateTransformJob", create)
    assert compared(TaskRun().of(operator())) == (1.0, None)
    assert len(transform.jobs) == 1


def test_answers_that_are_gone_are_asked_for_again(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """A lifecycle rule may take them; the job's name cannot be used again."""
    TaskRun().of(operator())
    transform.objects = {key: body for key, body in transform.objects.items() if not key.endswith(".out")}
    assert compared(TaskRun().of(operator())) == (1.0, None)
    assert [name[-2:] for name in transform.jobs] == ["-1", "-2"]


def test_a_set_larger_than_a_request_is_cut(registry: FakeRegistry, transform: FakeTransform) -> None:
    """Each object is one request, and the answers are put together in order, wherever AWS puts them."""
    records = [{"length": number, "text": "x" * 250_000, "label": "short"} for number in range(5)]
    found: list[str] = []

    def answer(lines: list[str]) -> str:
        found.extend(line.split(",")[0] for line in lines)
        return json.dumps(["short" if line[0] != "4" else "long" for line in lines])

    transform.rules["challenger"], transform.subfolder = answer, "below/"
    verdict = TaskRun().of(operator(records=records, transform_config={**RESOURCES, "MaxPayloadInMB": 1}))
    assert compared(verdict) == (0.8, None)
    assert found == ["0", "1", "2", "3", "4"]
    assert len([key for key in transform.objects if "/questions/" in key]) == 2


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_job_that_fails_fails_the_task_with_its_story(
    registry: FakeRegistry, transform: FakeTransform, deferrable: bool
) -> None:
    """Reason, last lines, and where to look; the next attempt has another name."""
    transform.failures["challenger"] = {"FailureReason": "AlgorithmError: see the logs"}
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(operator(deferrable=deferrable))
    told = str(raised.value)
    for text in (
        "ended Failed: AlgorithmError",
        "    out of memory",
        "#/transform-jobs/retrain-held-out",
        "clear this",
    ):
        assert text in told
    del transform.failures["challenger"]
    assert compared(TaskRun(max_tries=3).of(operator(deferrable=deferrable))) == (1.0, None)
    assert [name[-2:] for name in transform.jobs] == ["-1", "-2"]


def test_a_fault_of_the_platform_is_left_to_airflows_retries(registry: FakeRegistry, transform: FakeTransform) -> None:
    """The same job may well succeed another time."""
    transform.failures["challenger"] = {"FailureReason": "InternalServerError: We encountered an internal error."}
    with pytest.raises(TransformJobError):
        TaskRun().of(operator())


@pytest.mark.parametrize(("stopped_by", "kind"), [("own", AirflowFailException), ("other", TransformJobError)])
def test_a_stopped_job_is_made_anew_only_if_it_was_anothers(
    registry: FakeRegistry, transform: FakeTransform, stopped_by: str, kind: type[Exception]
) -> None:
    """Who stops this run's job in the console means it; a kill of the run that made it does not mean this one."""
    transform.goes_on = True
    first = operator()
    with pytest.raises(TaskDeferred) as deferral:
        first.execute(TaskRun(run_id="first").context)
    [name] = transform.jobs
    transform.stop(TransformJobName=name)
    run = TaskRun(run_id="first" if stopped_by == "own" else "second")
    jobs: Any = deferral.value.kwargs
    with pytest.raises(kind, match="ended Stopped"):
        operator().execute_complete(run.context, {"ended": [name]}, **jobs)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        (lambda _: json.dumps(["short"]), "1 predictions to 4 records, in 1 of 1 answers"),
        (lambda _: "short\nshort", "cannot be read as predictions"),
    ],
)
def test_answers_that_cannot_be_used_fail_the_task(
    registry: FakeRegistry, transform: FakeTransform, rule: Any, told: str
) -> None:
    """With the place where they are; the same model would answer the same again, so that no job is made by itself."""
    transform.rules["challenger"] = rule
    with pytest.raises(AirflowFailException, match=told) as raised:
        TaskRun().of(operator())
    assert "They are below s3://bucket/held-out/answers/retrain-held-out-" in str(raised.value)
    with pytest.raises(AirflowFailException, match="delete them and clear"):
        TaskRun(max_tries=3).of(operator())
    assert len(transform.jobs) == 1


def test_a_regression_is_measured_by_its_error(registry: FakeRegistry, transform: FakeTransform) -> None:
    """Where labels and answers are numbers; the tolerance says which answers are right."""
    records = [{"length": number, "label": number} for number in (1, 2)]
    transform.rules["challenger"] = lambda lines: json.dumps(
        [float(line) + 0.5 * index for index, line in enumerate(lines)]
    )
    criteria = {"held_out:mean_absolute_error": {"goal": "minimize", "limit": "0.3"}, **ACCURACY}
    settings = {"records": records, "held_out_criteria": criteria, "accept": "application/json"}
    verdict = TaskRun().of(operator(**settings))
    assert compared(verdict, "held_out:mean_absolute_error") == (0.25, None)
    assert compared(verdict) == (0.5, None)
    assert compared(TaskRun().of(operator(**settings, tolerance="0.5"))) == (1.0, None)


@pytest.mark.parametrize("records", [None, "", "None", []])
def test_without_records_nothing_is_asked(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform, records: Any
) -> None:
    """A DAG leaves the set to a setting; its criteria do not count then."""
    verdict = TaskRun().of(operator(records=records))
    assert [one["metric"] for one in verdict["comparison"]] == ["accuracy"]
    assert verdict["held_out"] is None
    assert not aws.asked("CreateTransformJob")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"criteria": {"recall": "maximize"}}, "a metric of the challenger: accuracy"),
        ({"records": "", "criteria": ACCURACY}, "criteria.held_out:accuracy: got"),
        ({"held_out_criteria": None}, "held_out_criteria: got"),
        ({"held_out_criteria": {"held_out:recall": "maximize"}}, "criteria.held_out:recall: got"),
        ({"held_out_criteria": {"held_out:accuracy": "up"}}, "held_out_criteria.held_out:accuracy.goal: got 'up'"),
        ({"held_out_criteria": {"held_out:mean_absolute_error": "minimize"}}, "numbers as labels"),
        ({"label_column": None}, "label_column: got None"),
        ({"label_column": "species"}, "label_column: got 'species'"),
        ({"records": "s3://"}, "records: got 's3://'"),
        ({"checker": "no.such"}, "checker: got 'no.such'"),
        ({"tolerance": "-1"}, "tolerance: got -1"),
        ({"model_name": None}, "model_name: got None"),
        ({"model_name": "unknown"}, "model_name: got 'unknown'"),
        ({"content_type": "text/plain"}, "content_type: got 'text/plain'"),
        ({"transform_uri": None}, "transform_uri: got None"),
        ({"transform_config": None}, "transform_config.TransformResources: got None"),
        ({"transform_config": {**RESOURCES, "ModelName": "x"}}, "transform_config.ModelName: got 'x'"),
        (
            {"transform_config": {**RESOURCES, "TransformOutput": {"AssembleWith": "Line"}}},
            "TransformOutput.AssembleWith",
        ),
        (
            {"records": [{"a": "x" * 2_000_000, "label": "b"}], "transform_config": {**RESOURCES, "MaxPayloadInMB": 1}},
            "at most",
        ),
    ],
)
def test_what_is_wrong_is_told_before_anything_is_paid_for(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform, change: dict[str, Any], told: str
) -> None:
    """Neither a job nor a model is made; a check before the training finds all but what only the run knows."""
    champion(registry)
    for only_check in {False, "model_name" not in change and "challenger" not in told}:
        with pytest.raises(AirflowFailException) as raised:
            TaskRun().of(operator(**change, only_check=only_check))
        assert told in str(raised.value)
    assert not aws.asked("CreateTransformJob")
    assert not aws.asked("CreateModel")


@pytest.mark.parametrize(("records", "number"), [(RECORDS, 4), ("", 0)])
def test_a_check_asks_nobody(aws: FakeAws, transform: FakeTransform, records: Any, number: int) -> None:
    """Neither job nor model is there yet, nor the champion of the time when they will be."""
    checking = operator(records=records, only_check=True, training_job=None, model_name=None)
    assert TaskRun().of(checking) == {"records": number}
    assert aws.calls == []
    with pytest.raises(AirflowSkipException, match="no model_package_group"):
        TaskRun().of(operator(only_check=True, model_package_group=""))


def test_a_champion_that_cannot_be_asked_costs_nothing(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """Another program may have registered a version without containers."""
    registry.holds(training_job="iris-1", metric_accuracy="0.9")
    with pytest.raises(AirflowFailException, match="names its containers"):
        TaskRun().of(operator())
    assert not transform.jobs


def test_a_second_job_that_is_refused_stops_the_first(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform
) -> None:
    """Nobody would wait for it."""
    champion(registry)
    transform.goes_on = True

    def create(**request: Any) -> dict[str, Any]:
        if transform.jobs:
            raise AwsSays("AccessDeniedException", "not for you")
        return transform.create(**request)

    aws.on("CreateTransformJob", create)
    with pytest.raises(AirflowFailException, match="not for you"):
        TaskRun().of(operator())
    assert [job["TransformJobStatus"] for job in transform.jobs.values()] == ["Stopping"]


@pytest.mark.parametrize("case", ["denied", "full"])
def test_what_cannot_be_kept_is_no_reason_to_fail(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform, case: str
) -> None:
    """The next run finds the job."""
    arn = champion(registry, **({f"fact{number}": "x" for number in range(48)} if case == "full" else {}))
    if case == "denied":
        aws.on("UpdateModelPackage", AwsSays("AccessDeniedException", "not for you"))
    assert compared(TaskRun().of(operator())) == (1.0, 1.0)
    assert kept(registry, arn) == {}


@pytest.mark.parametrize(("state", "status"), [("failed", "Stopping"), ("deferred", "InProgress")])
def test_a_killed_wait_stops_the_jobs_of_its_run(
    registry: FakeRegistry, transform: FakeTransform, state: str, status: str
) -> None:
    """Unless the triggerer only loses the wait to another one."""
    champion(registry)
    transform.goes_on = True
    run = TaskRun()
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(run.context)
    trigger = remade(deferral.value.trigger)
    trigger._task_instance = run.context["ti"]
    with task_is(state, noted=note(1)):
        asyncio.run(trigger.on_kill())
    assert [job["TransformJobStatus"] for job in transform.jobs.values()] == [status, status]


def test_without_stop_on_kill_they_go_on(registry: FakeRegistry, transform: FakeTransform) -> None:
    """The next try takes them up."""
    transform.goes_on = True
    with pytest.raises(TaskDeferred) as deferral:
        operator(stop_on_kill=False).execute(TaskRun().context)
    assert deferral.value.trigger.stopped_on_kill == []


@pytest.mark.parametrize("moment", ["while the job is made", "while it waits"])
def test_a_kill_on_the_worker_stops_them(
    aws: FakeAws, registry: FakeRegistry, transform: FakeTransform, moment: str
) -> None:
    """Airflow only interrupts the call that makes a job, and lets it go on."""
    transform.goes_on = True
    waiting = operator(deferrable=moment == "while the job is made")

    def create(**request: Any) -> dict[str, Any]:
        answer = transform.create(**request)
        if moment == "while the job is made":
            waiting.on_kill()
        return answer

    def describe(**request: Any) -> dict[str, Any]:
        if request["TransformJobName"] in transform.jobs and moment == "while it waits":
            waiting.on_kill()
        return transform.describe(**request)

    aws.on("CreateTransformJob", create)
    aws.on("DescribeTransformJob", describe)
    with task_is("failed"), pytest.raises((TaskDeferred, AirflowFailException)):
        waiting.execute(TaskRun().context)
    [job] = transform.jobs.values()
    assert job["TransformJobStatus"] in ("Stopping", "Stopped")


@pytest.mark.parametrize(("stop", "kind"), [(True, AirflowFailException), (False, AirflowTaskTimeout)])
def test_a_wait_that_takes_too_long_stops_them(
    registry: FakeRegistry, transform: FakeTransform, stop: bool, kind: type[BaseException]
) -> None:
    """A retry would pay for another one; what goes on is taken up by it."""
    transform.goes_on = True
    waiting, run = operator(execution_timeout=timedelta(seconds=9), stop_on_kill=stop), TaskRun()
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute(run.context)
    assert deferral.value.timeout == timedelta(seconds=9)
    context = run.context
    context["ti"].xcom_pull = lambda key, **_: run.xcoms[key]
    with pytest.raises(kind, match="did not end within the execution_timeout of 0:00:09"):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert [job["TransformJobStatus"] for job in transform.jobs.values()] == ["Stopping" if stop else "InProgress"]
