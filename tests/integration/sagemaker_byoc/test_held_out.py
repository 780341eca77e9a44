"""The gate with a held-out set, on a local AWS whose transform jobs start the models' containers."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskDeferred

from sagemaker_byoc.operators.challenge import EvaluateChallengerOperator
from tests.support.airflow_pipe import task_is
from tests.support.classifier_account import REACHED, RECORDS, ClassifierAccount
from tests.support.task_run import TaskRun, remade

METRIC = "validation:accuracy"
RIGHT, WRONG = 5.0, 8.5
"""Thresholds of models that answer all records rightly, and all but one."""


def register(account: ClassifierAccount, group: str, model: str, printed: float, approval: str = "Approved") -> str:
    """Register a model as a version whose job printed this accuracy; return its ARN."""
    sagemaker = account.sagemaker
    if group not in [one["ModelPackageGroupName"] for one in groups(account)]:
        sagemaker.create_model_package_group(ModelPackageGroupName=group)
    container = sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    specification = {
        "Containers": [{name: container[name] for name in ("Image", "ModelDataUrl")}],
        "SupportedContentTypes": ["text/csv"],
        "SupportedResponseMIMETypes": ["application/json"],
    }
    answer = sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelApprovalStatus=approval,
        InferenceSpecification=specification,
        CustomerMetadataProperties={"training_job": f"job-of-{model}", f"metric:{METRIC}": str(printed)},
    )
    return str(answer["ModelPackageArn"])


def groups(account: ClassifierAccount) -> list[Any]:
    """Return all groups."""
    return list(account.sagemaker.list_model_package_groups()["ModelPackageGroupSummaryList"])


def gate(group: str, model: str, printed: float, **changes: Any) -> EvaluateChallengerOperator:
    """Make the gate for a model whose job printed this accuracy."""
    settings: dict[str, Any] = {
        "training_job": {"training_job_name": f"job-of-{model}", "metrics": {METRIC: printed}},
        "model_package_group": group,
        "criteria": {METRIC: "maximize"},
        "model_name": model,
        "records": RECORDS,
        "label_column": "kind",
        "held_out_criteria": {"held_out:accuracy": "maximize"},
        "transform_uri": "s3://models/held-out/",
        "transform_config": {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1}},
        **REACHED,
        **changes,
    }
    return EvaluateChallengerOperator(task_id="evaluate", **settings)


def jobs(account: ClassifierAccount) -> dict[str, str]:
    """Return the status of every transform job by its name."""
    listed = account.sagemaker.list_transform_jobs(MaxResults=100)["TransformJobSummaries"]
    return {job["TransformJobName"]: job["TransformJobStatus"] for job in listed}


def kept(account: ClassifierAccount, arn: str) -> str | None:
    """Return the accuracy on a held-out set that a version keeps."""
    described = account.sagemaker.describe_model_package(ModelPackageName=arn)
    value: str | None = described["CustomerMetadataProperties"].get("metric:held_out:accuracy")
    return value


def test_a_model_that_only_says_that_it_is_better_does_not_pass(account: ClassifierAccount) -> None:
    """Its job printed more, on other data; asked the same questions, it answers worse. Each is asked once."""
    model, better = account.model(RIGHT), account.model(WRONG)
    champion, mine = register(account, "boast", model, 0.8), register(account, "boast", better, 0.99, "Rejected")
    before = jobs(account)
    with pytest.raises(AirflowSkipException, match=r"held_out:accuracy 0.75 is not as good as the champion's 1\b"):
        (run := TaskRun()).of(gate("boast", better, 0.99, model_package=mine))
    table = run.xcoms["return_value"]["table"].splitlines()
    assert [line.split()[0] for line in table[1:]] == [METRIC, "held_out:accuracy"]
    assert "NOT GOOD ENOUGH" in table[2]
    assert len(jobs(account)) == len(before) + 2
    assert (kept(account, champion), kept(account, mine)) == ("1.0", "0.75")
    again = account.model(RIGHT)
    assert TaskRun(run_id="next").of(gate("boast", again, 0.8))["passed"]
    assert len(jobs(account)) == len(before) + 3, "the champion was asked before"


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_retry_and_another_run_take_what_is_there(account: ClassifierAccount, deferrable: bool) -> None:
    """A worker that died after the call left a job behind; another run has the same question."""
    model = account.model(RIGHT, SECONDS="1")
    with pytest.raises(TaskDeferred):
        gate("retried", model, 0.8).execute(TaskRun().context)
    before = jobs(account)
    for run in (TaskRun(try_number=2), TaskRun(run_id="another")):
        verdict = run.of(gate("retried", model, 0.8, deferrable=deferrable))
        assert verdict["passed"]
        assert verdict["comparison"][1]["challenger"] == 1.0
    assert jobs(account).keys() == before.keys()


def test_the_clean_up_would_find_the_champions_model(account: ClassifierAccount) -> None:
    """It is made from the version, of which the registry tells image and artifact, and tagged as ours."""
    model, other = account.model(RIGHT), account.model(RIGHT)
    register(account, "tagged", model, 0.8, "Approved")
    TaskRun().of(gate("tagged", other, 0.8))
    [name] = [each["ModelName"] for each in models(account) if champion_of(account, each["ModelName"], model)]
    described = account.sagemaker.describe_model(ModelName=name)
    tags = account.sagemaker.list_tags(ResourceArn=described["ModelArn"])["Tags"]
    assert {"Key": "project", "Value": "sagemaker-byoc"} in tags
    assert described["ExecutionRoleArn"] == account.role_arn


def models(account: ClassifierAccount) -> list[Any]:
    """Return all models."""
    return list(account.sagemaker.list_models(MaxResults=100)["Models"])


def champion_of(account: ClassifierAccount, name: str, model: str) -> bool:
    """Tell whether a model was made from the version of another."""
    data = [
        account.sagemaker.describe_model(ModelName=each)["PrimaryContainer"]["ModelDataUrl"] for each in (name, model)
    ]
    return name != model and data[0] == data[1]


def test_a_person_who_ends_the_wait_stops_both_jobs(account: ClassifierAccount) -> None:
    """A person who clears the task asks anew, under other names."""
    model, challenger = account.model(RIGHT), account.model(RIGHT, SECONDS="60")
    register(account, "killed", model, 0.8)
    run = TaskRun()
    with pytest.raises(TaskDeferred) as deferral:
        gate("killed", challenger, 0.8).execute(run.context)
    trigger = remade(deferral.value.trigger)
    trigger._task_instance = run.context["ti"]
    with task_is("failed"):
        asyncio.run(trigger.on_kill())
    # A container that was told to end before it listens for that takes its whole grace.
    assert {jobs(account)[name] for name in trigger.names} <= {"Stopping", "Stopped"}
    with pytest.raises(TaskDeferred) as deferral:
        gate("killed", challenger, 0.8).execute(TaskRun(max_tries=3).context)
    again = remade(deferral.value.trigger)
    assert not set(again.names) & set(trigger.names)
    again._task_instance = run.context["ti"]
    with task_is("failed"):
        asyncio.run(again.on_kill())


def test_a_container_that_fails_fails_the_task_with_its_words(account: ClassifierAccount) -> None:
    """The message has AWS's reason and the last lines of the log."""
    model = account.model(RIGHT, BROKEN="1")
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(gate("broken", model, 0.8))
    told = str(raised.value)
    assert f"of model {model} ended Failed: " in told
    assert "out of order" in told
    assert "#/transform-jobs/retrain-held-out-" in told


def test_a_set_of_several_requests_is_answered_in_order(account: ClassifierAccount) -> None:
    """A record is right only if its own answer is."""
    records = [
        {"length": length, "kind": "short" if length < RIGHT else "long"} for length in (1, 9, 2, 8, 3, 7, 4, 6)
    ] * 20_000
    verdict = TaskRun().of(
        gate(
            "large",
            account.model(RIGHT),
            0.8,
            records=records,
            transform_config={
                "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": "1"},
                "MaxPayloadInMB": "1",
                "ModelClientConfig": {"InvocationsTimeoutInSeconds": 60},
            },
        )
    )
    assert verdict["comparison"][1]["challenger"] == 1.0
    assert verdict["held_out"]["records"] == len(records)
