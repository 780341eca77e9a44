"""Deployments that go wrong on a local AWS whose containers really serve: in the end the old model answers."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException, TaskDeferred

from sagemaker_byoc.errors import EndpointGoneError, EndpointSupersededError
from sagemaker_byoc.operators.endpoint_config import ListEndpointConfigsOperator
from tests.support.classifier_account import ClassifierAccount, create, wait
from tests.support.operator_cloud import CLASSIFIER
from tests.support.process_cloud import wait_until
from tests.support.served_endpoint import (
    ANOTHER,
    GOOD,
    LIVE_AGAIN,
    SILENT,
    WRONG,
    Served,
    fails,
    restore,
    smoke_test_of,
)
from tests.support.task_run import TaskRun


@pytest.mark.way_back_row("wrong answers")
@pytest.mark.parametrize("deferrable", [True, False])
def test_wrong_answers_bring_the_old_model_back(served: Served, deferrable: bool) -> None:
    """With the report kept, and the restored model asked."""
    deployed = served.deploy(WRONG)
    run = TaskRun()
    with fails(LIVE_AGAIN.format(served.config)) as caught:
        run.of(smoke_test_of(deployed, deferrable=deferrable))
    assert "accuracy 0.500 (2 of 4 right)" in str(caught.value)
    assert run.xcoms["return_value"]["correct"] == 2
    assert len(run.deferrals) == int(deferrable)
    assert served.answers_rightly()


NO_ANSWERS: list[tuple[dict[str, str], str]] = [
    ({"BROKEN": "yes"}, "status 500: out of order"),
    ({"SECONDS": "0.3"}, "p95 latency .* above maximum_latency_ms 100"),
    ({"GARBLED": "yes"}, "cannot be read as predictions"),
    ({"DIES": "yes"}, "record 1: "),
]


@pytest.mark.way_back_row("errors, late or unreadable answers, a container that dies when it is asked")
@pytest.mark.parametrize(("environment", "why"), NO_ANSWERS, ids=["error", "late", "unreadable", "dead"])
def test_a_container_that_does_not_answer_brings_the_old_model_back(
    served: Served, environment: dict[str, str], why: str
) -> None:
    """It starts, is healthy, and is InService; only who asks it finds out."""
    deployed = served.deploy(GOOD, None, **environment)
    with fails(LIVE_AGAIN.format(served.config)) as caught:
        TaskRun().of(smoke_test_of(deployed, maximum_latency_ms=100))
    assert re.search(why, str(caught.value))
    assert served.answers_rightly()


NO_VERDICT: list[tuple[dict[str, str], str]] = [
    ({"records": "/no/such/file"}, "/no/such/file"),
    ({"checker": "json:loads"}, "json:loads"),
    ({"report_uri": "s3://no-such-bucket/report.json"}, "no-such-bucket"),
]


@pytest.mark.way_back_row(
    "the test cannot come to a verdict: records that cannot be read, a checker that fails, a report that cannot be "
    "written"
)
@pytest.mark.parametrize(("changes", "why"), NO_VERDICT, ids=["records", "checker", "report"])
def test_a_test_without_a_verdict_brings_the_old_model_back(served: Served, changes: dict[str, str], why: str) -> None:
    """Nobody knows how good the new one is, and the next run would take it for its way back."""
    deployed = served.deploy(ANOTHER)
    with fails(rf"(?s)no verdict: .*{why}.*Live now: {served.config} \(InService\)"):
        TaskRun().of(smoke_test_of(deployed, **changes))
    assert served.answers_rightly()


@pytest.mark.way_back_row("the smoke test cannot put it back on any try, or a person marks the wait as failed")
def test_what_the_test_could_not_put_back_is_put_back_behind_it(served: Served) -> None:
    """By the task that is the net; where the test has gone back itself it has nothing to do."""
    deployed = served.deploy(WRONG)
    with fails("accuracy 0.500"):
        TaskRun().of(smoke_test_of(deployed, rollback=False))
    assert restore(deployed)["operation"] == "update"
    assert served.answers_rightly()
    with pytest.raises(AirflowSkipException, match=f"serves {served.config} already"):
        restore(deployed)


def test_what_never_became_live_is_nothing_to_go_back_to(served: Served) -> None:
    """It is the newest configuration of an endpoint that somebody has deleted since."""
    deployed = create(served.name, served.account.model(SILENT))
    with fails("threshold below zero"):
        wait(deployed)
    served.delete_endpoint()
    listing = ListEndpointConfigsOperator(task_id="list_configs", endpoint_name=served.name, aws_conn_id=None)
    listed = TaskRun().of(listing)
    assert listed["configs"][0]["name"] == deployed["endpoint_config_name"]
    assert (listed["live"], listed["before_live"]) == (None, served.config)


@pytest.mark.way_back_row(
    "the live config, its model, or that model's artifact, image or registry version was deleted before the update"
)
@pytest.mark.parametrize("deleted", ["config", "model", "artifact"])
def test_what_could_not_be_put_back_is_not_replaced(served: Served, deleted: str) -> None:
    """The deployment is refused before anything changes; told to, it goes ahead."""
    sagemaker, model = served.account.sagemaker, served.account.model(WRONG)
    if deleted == "config":
        sagemaker.delete_endpoint_config(EndpointConfigName=served.config)
    elif deleted == "model":
        sagemaker.delete_model(ModelName=served.model)
    else:
        served.account.cloud.client("s3").delete_object(Bucket="models", Key=f"{served.model}/model.tar.gz")
    before = sagemaker.describe_endpoint(EndpointName=served.name)
    with fails(r"no way back.*require_way_back=False"):
        create(served.name, model)
    assert sagemaker.describe_endpoint(EndpointName=served.name)["LastModifiedTime"] == before["LastModifiedTime"]
    assert served.answers_rightly()
    assert create(served.name, model, require_way_back=False)["restore_point"] is None


@pytest.mark.way_back_row(
    "the live config, its model, or that model's artifact, image or registry version was deleted before the update"
)
def test_an_image_that_expired_is_no_way_back(account: ClassifierAccount) -> None:
    """The endpoint goes on with what it pulled once, and nobody could pull it again."""
    model = account.model(GOOD)
    described = account.sagemaker.describe_model(ModelName=model)["PrimaryContainer"]
    image = account.cloud.push("expiring", {"serve": CLASSIFIER})
    own = {"Image": image, "ModelDataUrl": described["ModelDataUrl"]}
    account.sagemaker.create_model(ModelName=f"{model}-x", ExecutionRoleArn=account.role_arn, PrimaryContainer=own)
    deployed = create(account.name(), f"{model}-x")
    wait(deployed)
    account.cloud.client("ecr").batch_delete_image(repositoryName="expiring", imageIds=[{"imageTag": "v1"}])
    with fails(r"no way back.*ECR does not hold .*/expiring:v1 any more"):
        create(deployed["endpoint_name"], account.model(WRONG), exclusive=False)
    assert Served(account, deployed["endpoint_name"], model, deployed["endpoint_config_name"]).answers_rightly()


@pytest.mark.way_back_row(
    "the live config, its model, or that model's artifact, image or registry version was deleted before the update"
)
@pytest.mark.parametrize("deleted", ["artifact", "image", "version"])
def test_a_version_without_its_parts_is_no_way_back(account: ClassifierAccount, deleted: str) -> None:
    """The endpoint serves a model that names a version of the registry, and nothing else."""
    model, group = account.model(GOOD), account.name()
    data = account.sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["ModelDataUrl"]
    image = account.cloud.push(group, {"serve": CLASSIFIER})
    version = register(account, group, {"Image": image, "ModelDataUrl": data})
    own = {"ModelPackageName": version}
    account.sagemaker.create_model(ModelName=f"{model}-v", ExecutionRoleArn=account.role_arn, PrimaryContainer=own)
    deployed = create(account.name(), f"{model}-v")
    wait(deployed)
    if deleted == "artifact":
        account.cloud.client("s3").delete_object(Bucket="models", Key=f"{model}/model.tar.gz")
        told = f"S3 does not hold {data} any more"
    elif deleted == "image":
        account.cloud.client("ecr").batch_delete_image(repositoryName=group, imageIds=[{"imageTag": "v1"}])
        told = f"ECR does not hold {image} any more"
    else:
        account.sagemaker.delete_model_package(ModelPackageName=version)
        told = f"The model package {version}, of which the model {model}-v"
    with fails(f"no way back.*{told}"):
        create(deployed["endpoint_name"], account.model(WRONG), exclusive=False)
    assert Served(account, deployed["endpoint_name"], model, deployed["endpoint_config_name"]).answers_rightly()


def register(account: ClassifierAccount, group: str, container: dict[str, Any]) -> str:
    """Register an approved version in a group of its own; return its ARN."""
    account.sagemaker.create_model_package_group(ModelPackageGroupName=group)
    specification = {"Containers": [container], "SupportedContentTypes": [], "SupportedResponseMIMETypes": []}
    facts = {"ModelPackageGroupName": group, "ModelApprovalStatus": "Approved"}
    answer = account.sagemaker.create_model_package(**facts, InferenceSpecification=specification)
    return str(answer["ModelPackageArn"])


@pytest.mark.way_back_row("the old config or its model is deleted after the update")
def test_what_is_deleted_after_the_update_is_made_again(served: Served) -> None:
    """Configuration and model come back under their names, with their tags."""
    deployed = served.deploy(WRONG)
    served.delete_all()
    with fails(LIVE_AGAIN.format(served.config)):
        TaskRun().of(smoke_test_of(deployed))
    assert served.answers_rightly()
    described = served.account.sagemaker.describe_endpoint_config(EndpointConfigName=served.config)
    tags = served.account.sagemaker.list_tags(ResourceArn=described["EndpointConfigArn"])["Tags"]
    assert {"Key": "endpoint", "Value": served.name} in tags
    model = served.account.sagemaker.describe_model(ModelName=served.model)
    assert model["PrimaryContainer"] == deployed["restore_point"]["models"][0]["PrimaryContainer"]


@pytest.mark.way_back_row("the old config or its model is deleted after the update")
def test_a_model_alone_is_made_again(served: Served) -> None:
    """The configuration that names it is still there."""
    deployed = served.deploy(WRONG)
    served.account.sagemaker.delete_model(ModelName=served.model)
    with fails(LIVE_AGAIN.format(served.config)):
        TaskRun().of(smoke_test_of(deployed))
    assert served.answers_rightly()


def test_the_restore_point_is_small(served: Served) -> None:
    """It travels through XCom with each deployment."""
    deployed = served.deploy(WRONG)
    assert len(json.dumps(deployed["restore_point"])) < 2000


@pytest.mark.way_back_row("the endpoint is deleted before the test")
@pytest.mark.parametrize("everything", [False, True], ids=["the endpoint", "all of it"])
def test_an_endpoint_deleted_before_the_test_is_created_again(served: Served, everything: bool) -> None:
    """With the old model, whatever the new one was worth."""
    deployed = served.deploy(ANOTHER)
    if everything:
        served.delete_all()
    served.delete_endpoint()
    with fails(LIVE_AGAIN.format(served.config)) as caught:
        TaskRun().of(smoke_test_of(deployed))
    assert "somebody deleted it" in str(caught.value)
    assert served.answers_rightly()


@pytest.mark.way_back_row("the endpoint ends Failed, or is deleted meanwhile")
def test_an_endpoint_deleted_during_the_deployment_is_created_again(served: Served) -> None:
    """By the task behind the wait, which fails with the reason."""
    deployed = served.deploy(ANOTHER)
    served.delete_endpoint()
    with fails("somebody deleted it") as caught:
        wait(deployed)
    assert isinstance(caught.value.__cause__, EndpointGoneError)
    assert restore(deployed)["operation"] == "create"
    assert served.answers_rightly()


@pytest.mark.way_back_row("the endpoint ends Failed, or is deleted meanwhile")
def test_a_failed_endpoint_is_replaced_by_what_served_before(served: Served) -> None:
    """Somebody deleted the endpoint and created it with the new model, which does not start."""
    deployed = create(served.name, served.account.model(SILENT))
    with fails("threshold below zero"):
        wait(deployed)
    served.delete_endpoint()
    config = deployed["endpoint_config_name"]
    served.account.sagemaker.create_endpoint(EndpointName=served.name, EndpointConfigName=config)
    with fails("is Failed"):
        wait(deployed)
    assert restore(deployed)["operation"] == "create"
    assert served.answers_rightly()


KILLED_AFTER_THE_UPDATE = """\
import os, signal, sys
from botocore.client import BaseClient
from tests.support.classifier_account import create

call = BaseClient._make_api_call

def killed_by_the_answer(client, operation, request):
    answer = call(client, operation, request)
    if operation == "UpdateEndpoint":
        os.kill(os.getpid(), signal.SIGKILL)
    return answer

BaseClient._make_api_call = killed_by_the_answer
create(*sys.argv[1:])
"""
"""Deploys, and is killed as soon as AWS has taken the update: the task has not returned what it did."""


@pytest.mark.way_back_row("a worker is killed between the update and the test, or while the old model is put back")
def test_a_worker_killed_after_the_update_costs_no_way_back(served: Served) -> None:
    """The next try learns from AWS what was live before, and the test goes on."""
    model = served.account.model(WRONG)
    command = [sys.executable, "-c", KILLED_AFTER_THE_UPDATE, served.name, model]
    assert subprocess.run(command, env=_environment(), check=False).returncode == -signal.SIGKILL
    assert served.target() != served.config
    again = create(served.name, model, TaskRun(try_number=2))
    assert (again["operation"], again["previous_endpoint_config_name"]) in [
        ("adopt", served.config),
        ("none", served.config),
    ]
    wait(again)
    with fails(LIVE_AGAIN.format(served.config)) as caught:
        TaskRun().of(smoke_test_of(again))
    assert "accuracy 0.500" in str(caught.value)
    assert served.answers_rightly()


def test_a_task_abandoned_in_the_middle_of_the_rollback_is_gone_on_with(served: Served) -> None:
    """The next try finds the rollback under way, or through, and fails for the same reason."""
    deployed = served.deploy(WRONG)
    with pytest.raises(TaskDeferred):
        smoke_test_of(deployed).execute(TaskRun().context)
    with fails(LIVE_AGAIN.format(served.config)) as caught:
        TaskRun(try_number=2).of(smoke_test_of(deployed))
    assert "failed: " in str(caught.value)
    assert "accuracy 0.500" in str(caught.value)
    assert served.answers_rightly()


WORKER = """\
import json, sys
from tests.support.served_endpoint import smoke_test_of
from tests.support.task_run import TaskRun

deployed = json.load(sys.stdin)
TaskRun().of(smoke_test_of(deployed, deferrable=False, poll_interval_seconds=60))
"""


@pytest.mark.way_back_row("a worker is killed between the update and the test, or while the old model is put back")
def test_a_killed_worker_is_gone_on_for(served: Served) -> None:
    """A process that waits for the rollback gets SIGKILL; another one ends the matter."""
    deployed = served.deploy(WRONG)
    worker = subprocess.Popen([sys.executable, "-c", WORKER], stdin=subprocess.PIPE, env=_environment(), text=True)
    try:
        assert worker.stdin is not None
        with worker.stdin as stdin:
            json.dump(deployed, stdin)
        wait_until(lambda: served.target() == served.config, "the rollback has begun", 60.0)
    finally:
        worker.kill()
        worker.wait()
    with fails(LIVE_AGAIN.format(served.config)) as caught:
        TaskRun(try_number=2).of(smoke_test_of(deployed))
    assert "accuracy 0.500" in str(caught.value)
    assert served.answers_rightly()


def _environment() -> dict[str, str]:
    """Return the environment with the paths that tests import from."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


@pytest.mark.way_back_row("another run deploys meanwhile, without the queue")
def test_a_later_deployment_is_left_alone(served: Served) -> None:
    """Neither the test nor the task behind the wait touches another run's model."""
    deployed = served.deploy(WRONG)
    later = served.deploy(5.5, TaskRun(run_id="later"))
    with fails("another deployment"):
        TaskRun().of(smoke_test_of(deployed))
    with pytest.raises(AirflowSkipException, match="left alone"):
        restore(deployed)
    assert served.target() == later["endpoint_config_name"]
    assert served.ask() == ["short", "short"]


@pytest.mark.way_back_row("the first deployment of an endpoint fails its test")
@pytest.mark.parametrize(("on_failure", "remains"), [("keep", True), ("delete", False)])
def test_a_first_deployment_is_kept_or_deleted(account: ClassifierAccount, on_failure: str, remains: bool) -> None:
    """There is nothing to go back to."""
    name = account.name()
    deployed = create(name, account.model(WRONG))
    wait(deployed)
    with fails(r"(?s)accuracy 0.500.*Nothing was live before"):
        TaskRun().of(smoke_test_of(deployed, on_failure=on_failure))
    endpoint = Served(account, name, "", deployed["endpoint_config_name"])
    if remains:
        assert endpoint.target() == deployed["endpoint_config_name"]
        assert endpoint.ask() == ["long", "long"]
    else:
        wait_until(lambda: not endpoint.exists(), f"{name} is gone")


def test_a_person_goes_back_by_the_list(served: Served) -> None:
    """The list names the configuration before the live one, and passes over what failed its test."""
    bad = served.deploy(WRONG)
    with fails("accuracy"):
        TaskRun().of(smoke_test_of(bad, rollback=False))
    better = served.deploy(4.5, TaskRun(run_id="better"))
    listing = ListEndpointConfigsOperator(task_id="list_configs", endpoint_name=served.name, aws_conn_id=None)
    listed = TaskRun().of(listing)
    assert [config["name"] for config in listed["configs"]] == [
        better["endpoint_config_name"],
        bad["endpoint_config_name"],
        served.config,
    ]
    assert (listed["live"], listed["before_live"]) == (better["endpoint_config_name"], served.config)
    assert listed["configs"][0]["run_id"] == "better"
    restored = restore(endpoint_name=served.name, endpoint_config_name=listed["before_live"])
    assert restored["operation"] == "update"
    assert served.answers_rightly()


def proven(served: Served, threshold: float, run_id: str) -> dict[str, Any]:
    """Deploy a model that passes its test, as a run does."""
    deployed = served.deploy(threshold, TaskRun(run_id=run_id))
    TaskRun().of(smoke_test_of(deployed))
    return deployed


def listed(served: Served, **changes: Any) -> Any:
    """Run the task that lists."""
    settings = {"endpoint_name": served.name, "aws_conn_id": None, **changes}
    return TaskRun().of(ListEndpointConfigsOperator(task_id="list_configs", **settings))


def test_a_person_takes_a_candidate_away(served: Served) -> None:
    """The model that it stands beside stays, and not one that passed its test and was taken away before."""
    taken_away = proven(served, 4.5, "taken-away")
    restore(endpoint_name=served.name, endpoint_config_name=served.config)
    run = TaskRun(run_id="candidate")
    beside = create(served.name, served.account.model(4.7), run, exclusive=False, strategy="candidate")
    wait(beside)
    TaskRun().of(smoke_test_of(beside))
    found = listed(served, maximum_configs=1)
    assert (found["live"], found["before_live"]) == (beside["endpoint_config_name"], served.config)
    names = [beside["endpoint_config_name"], taken_away["endpoint_config_name"], served.config]
    assert [config["name"] for config in found["configs"]] == names
    assert restore(endpoint_name=served.name, endpoint_config_name=found["before_live"])["operation"] == "update"
    assert served.answers_rightly()


def test_what_was_taken_away_after_its_test_keeps_its_mark(served: Served) -> None:
    """Its wait is cleared later, and tells that another deployment came, and not that AWS has gone back."""
    deployed = proven(served, 4.5, "later")
    restore(endpoint_name=served.name, endpoint_config_name=served.config)
    with fails("another deployment came after this one") as caught:
        wait(deployed)
    assert isinstance(caught.value.__cause__, EndpointSupersededError)
    marks = {config["name"]: config["smoke_test"] for config in listed(served)["configs"]}
    assert marks[deployed["endpoint_config_name"]] == "passed"
