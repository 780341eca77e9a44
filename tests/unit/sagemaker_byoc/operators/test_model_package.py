"""The tasks that register and approve a model."""

from __future__ import annotations

import contextlib
import copy
import hashlib
import json
from datetime import datetime, timezone
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from sagemaker_byoc.operators.model_package import (
    ApproveModelOperator,
    RegisterModelOperator,
    RejectModelOperator,
)
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_candidate import FakeCandidate
from tests.support.fake_registry import GROUP, FakeRegistry
from tests.support.fake_training import FakeTraining
from tests.support.task_run import TaskRun

IMAGE = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/iris@sha256:{1:064x}"
BEFORE = datetime(2026, 1, 1, tzinfo=timezone.utc)
AFTER = datetime(2026, 1, 5, tzinfo=timezone.utc)


@pytest.fixture
def registry(aws: FakeAws) -> FakeRegistry:
    """A registry without groups, and a completed job."""
    training = FakeTraining(aws)
    training.create(
        TrainingJobName="iris-1",
        AlgorithmSpecification={"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        InputDataConfig=[
            {
                "ChannelName": "train",
                "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "s3://bucket/data/2026-01-01/"}},
            }
        ],
        ResourceConfig={},
        StoppingCondition={},
    )
    training.ends(
        "iris-1",
        "Completed",
        TrainingStartTime=datetime(2026, 1, 2, tzinfo=timezone.utc),
        FinalMetricDataList=[{"MetricName": "validation:accuracy", "Value": 0.97, "Timestamp": BEFORE}],
    )
    registry = FakeRegistry(aws)
    registry.objects = [
        {"Key": "data/2026-01-01/a.csv", "ETag": '"e1"', "Size": 10, "LastModified": BEFORE},
        {"Key": "data/2026-01-01/b.csv", "ETag": '"e2"', "Size": 20, "LastModified": AFTER},
    ]
    return registry


def operator(**changes: Any) -> RegisterModelOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {"training_job": "iris-1", "model_package_group": GROUP, "aws_conn_id": None}
    return RegisterModelOperator(task_id="register", **settings | changes)


def test_a_version_tells_where_its_model_comes_from(registry: FakeRegistry, aws: FakeAws) -> None:
    """Metrics and lineage are properties of the version, which waits for approval."""
    registered = TaskRun().of(operator(git_commit="c0ffee", data_date="2026-01-01"))
    [request] = aws.asked("CreateModelPackage")
    [arn] = registry.packages
    assert registered == {"model_package_arn": arn, "version": 1, "approval_status": "PendingManualApproval"}
    assert request["InferenceSpecification"]["Containers"] == [
        {
            "Image": IMAGE,
            "ImageDigest": f"sha256:{1:064x}",
            "ModelDataUrl": "s3://bucket/models/iris-1/output/model.tar.gz",
        }
    ]
    kept = request["CustomerMetadataProperties"]
    assert kept["metric:validation:accuracy"] == "0.97"
    assert kept["training_job"] == "iris-1"
    assert kept["data_date"] == "2026-01-01T00:00:00+00:00"
    assert (kept["data_objects"], kept["data_changed_since_training"]) == ("2", "1")
    assert request["MetadataProperties"]["CommitId"] == "c0ffee"
    assert request["MetadataProperties"]["GeneratedBy"].endswith(":training-job/iris-1")


def test_the_whole_record_lies_beside_the_model(registry: FakeRegistry, aws: FakeAws) -> None:
    """The version names it with its digest, and it lists each object of the data."""
    TaskRun().of(operator())
    [(key, body)] = registry.written.items()
    assert key == "models/iris-1/output/model_package.json"
    [request] = aws.asked("CreateModelPackage")
    assert request["ModelMetrics"]["ModelQuality"]["Statistics"] == {
        "ContentType": "application/json",
        "S3Uri": f"s3://bucket/{key}",
        "ContentDigest": f"sha256:{hashlib.sha256(body).hexdigest()}",
    }
    [channel] = json.loads(body)["data"]["channels"]
    assert [one["key"] for one in channel["objects"]] == ["a.csv", "b.csv"]


def test_a_retry_finds_its_version(registry: FakeRegistry, aws: FakeAws) -> None:
    """One job is one version of a group, whoever registers it how often."""
    first = TaskRun().of(operator())
    registry.holds("Approved", training_job="another")
    assert TaskRun(run_id="manual__2", max_tries=7).of(operator()) == first
    assert len(aws.asked("CreateModelPackage")) == 1
    assert len(registry.written) == 1


def test_two_tries_at_once_make_one_version(registry: FakeRegistry, aws: FakeAws) -> None:
    """The token of the call is the job's, should both look before either has registered."""
    aws.on("ListModelPackages", {"ModelPackageSummaryList": []})
    assert TaskRun().of(operator()) == TaskRun().of(operator())
    assert len(registry.packages) == 1


def test_the_group_is_made_once_with_tags(registry: FakeRegistry, aws: FakeAws) -> None:
    """Versions can have none of their own; a group that is there is left alone."""
    TaskRun().of(operator(group_config={"ModelPackageGroupDescription": "Irises"}))
    assert registry.groups[GROUP]["ModelPackageGroupDescription"] == "Irises"
    assert {"Key": "airflow:dag_id", "Value": "retrain"} in registry.groups[GROUP]["Tags"]
    assert registry.holds() in registry.packages


def test_a_group_given_by_its_arn_is_not_made(registry: FakeRegistry, aws: FakeAws) -> None:
    """It may be another account's."""
    arn = "arn:aws:sagemaker:eu-west-1:210987654321:model-package-group/iris"
    registry.groups[arn] = {}
    TaskRun().of(operator(model_package_group=arn))
    assert not aws.asked("CreateModelPackageGroup")


def test_what_the_user_gives_is_kept(registry: FakeRegistry, aws: FakeAws) -> None:
    """Members of the config win over those of the job, and the config is not changed."""
    config = {
        "ModelPackageDescription": "by hand",
        "CustomerMetadataProperties": {"team": "flowers"},
        "InferenceSpecification": {"Containers": [{"Image": "mine"}], "SupportedContentTypes": ["text/csv"]},
    }
    before = copy.deepcopy(config)
    TaskRun().of(operator(config=config, approval_status="Approved"))
    [request] = aws.asked("CreateModelPackage")
    assert request["InferenceSpecification"] == before["InferenceSpecification"]
    assert request["ModelPackageDescription"] == "by hand"
    assert request["CustomerMetadataProperties"]["team"] == "flowers"
    assert request["ModelApprovalStatus"] == "Approved"
    assert config == before


@pytest.mark.parametrize("reason", ["too many", "denied"])
def test_data_that_cannot_be_listed_are_left_out(registry: FakeRegistry, aws: FakeAws, reason: str) -> None:
    """The model is registered all the same, without a digest that would be wrong."""
    if reason == "denied":
        aws.on("ListObjectsV2", AwsSays("AccessDenied", "no"))
    TaskRun().of(operator(maximum_objects=1))
    kept = aws.asked("CreateModelPackage")[0]["CustomerMetadataProperties"]
    assert "data_digest" not in kept
    assert kept["data:train"] == "s3://bucket/data/2026-01-01/"


@pytest.mark.parametrize("group", [None, "", "None"])
def test_without_a_group_the_task_is_skipped(registry: FakeRegistry, aws: FakeAws, group: str | None) -> None:
    """A DAG leaves the registry to a setting; AWS is not asked."""
    with pytest.raises(AirflowSkipException, match="nothing is registered"):
        TaskRun().of(operator(model_package_group=group))
    assert aws.calls == []


RESULT = {"training_job_name": "iris-1", "model_artifacts": "s3://b/m.tar.gz", "image_uri": IMAGE, "metrics": {}}


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"approval_status": "approved"}, "config.ModelApprovalStatus: got 'approved'; allowed is one of Approved"),
        ({"config": {"Tags": [{"Key": "a", "Value": "b"}]}}, "config.Tags: got"),
        ({"config": {"ModelPackageName": "iris"}}, "config.ModelPackageName: got 'iris'"),
        ({"config": {"Domein": "x"}}, "config.Domein: got 'x'"),
        ({"config": "text"}, "config: got 'text'; allowed is an object"),
        ({"group_config": {"Tagz": []}}, "group_config.Tagz: got []"),
        ({"model_package_group": "my_group"}, "ModelPackageGroupName: got 'my_group'"),
        ({"training_job": {"training_job_name": "iris-1"}}, "training_job: got {'training_job_name': 'iris-1'}"),
        ({"data_date": "yesterday"}, "data_date: got 'yesterday'"),
    ],
)
def test_bad_input_is_refused_before_anything_is_asked(
    registry: FakeRegistry, aws: FakeAws, change: dict[str, Any], told: str
) -> None:
    """The task fails without a retry, and the message names field, given and allowed."""
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(operator(**{"training_job": RESULT} | change))
    assert told in str(raised.value)
    assert aws.calls == []


def test_approval_makes_the_champion(registry: FakeRegistry) -> None:
    """The version is approved, with the run that proved it."""
    arn = registry.holds("PendingManualApproval")
    approve = ApproveModelOperator(task_id="approve", model_package={"model_package_arn": arn}, aws_conn_id=None)
    assert TaskRun().of(approve) == {"model_package_arn": arn, "approval_status": "Approved"}
    assert registry.packages[arn]["ModelApprovalStatus"] == "Approved"
    assert registry.packages[arn]["ApprovalDescription"] == "proven by run scheduled__2026-01-02 of DAG retrain"


@pytest.mark.parametrize("before", ["PendingManualApproval", "Approved"])
def test_a_model_that_was_not_proven_is_rejected(registry: FakeRegistry, before: str) -> None:
    """Also one that was approved once."""
    arn = registry.holds(before)
    reject = RejectModelOperator(task_id="reject", model_package=arn, aws_conn_id=None)
    assert TaskRun().of(reject) == {"model_package_arn": arn, "approval_status": "Rejected"}
    assert registry.packages[arn]["ModelApprovalStatus"] == "Rejected"
    assert registry.packages[arn]["ApprovalDescription"] == "not proven by run scheduled__2026-01-02 of DAG retrain"


DEPLOYED = {"endpoint_name": "iris", "endpoint_config_name": "new", "previous_endpoint_config_name": "old"}


@pytest.mark.parametrize(("live", "status"), [("new", "PendingManualApproval"), ("old", "Rejected")])
def test_a_version_that_serves_is_not_rejected(registry: FakeRegistry, aws: FakeAws, live: str, status: str) -> None:
    """The task is skipped and says why; as soon as the earlier model is back, it is rejected."""
    FakeCandidate(aws).serves(live)
    arn = registry.holds("PendingManualApproval")
    reject = RejectModelOperator(task_id="reject", model_package=arn, deployment=json.dumps(DEPLOYED), aws_conn_id=None)
    with contextlib.nullcontext() if live == "old" else pytest.raises(AirflowSkipException, match="iris has new"):
        TaskRun().of(reject)
    assert registry.packages[arn]["ModelApprovalStatus"] == status
    assert "deployment" in reject.template_fields


@pytest.mark.parametrize("judge", [ApproveModelOperator, RejectModelOperator])
@pytest.mark.parametrize("given", [None, "", "None"])
def test_without_a_version_the_registry_is_told_nothing(aws: FakeAws, judge: Any, given: str | None) -> None:
    """A DAG leaves the registry to a setting."""
    with pytest.raises(AirflowSkipException, match="no model_package"):
        TaskRun().of(judge(task_id="judge", model_package=given, aws_conn_id=None))
    assert aws.calls == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"model_package": "iris"}, "model_package: got 'iris'"),
        ({"model_package": "arn:aws:sagemaker:eu-west-1:123456789012:model-package/iris/9"}, "AWS says:"),
        ({"config": {"ModelApprovalStatus": "Rejected"}}, "config.ModelApprovalStatus: got 'Rejected'"),
        ({"config": {"ModelLifeCycle": {"Stage": "x"}}}, "config.ModelLifeCycle.StageStatus: got None"),
    ],
)
def test_an_approval_that_cannot_be_is_refused(registry: FakeRegistry, change: dict[str, Any], told: str) -> None:
    """The message says what is wrong with which field."""
    settings: dict[str, Any] = {"model_package": registry.holds("PendingManualApproval"), "aws_conn_id": None}
    with pytest.raises(AirflowFailException) as raised:
        TaskRun().of(ApproveModelOperator(task_id="approve", **settings | change))
    assert told in str(raised.value)
