"""The model registry over HTTP: groups, versions, approval, lists, and models made from a version."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hosting import HostingAccount, error_response, refusal
from tests.support.process_cloud import process_cloud, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

ARN = "arn:aws:sagemaker:us-east-1:123456789012"
NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield HostingAccount(cloud)


def group(account: HostingAccount, **request: Any) -> str:
    """Make a group; return its name."""
    name = f"Flowers-{next(NUMBERS)}"
    account.sagemaker.create_model_package_group(ModelPackageGroupName=name, **request)
    return name


def version(account: HostingAccount, name: str, **request: Any) -> str:
    """Make a version of a group; return its ARN."""
    made = account.sagemaker.create_model_package(ModelPackageGroupName=name, **request)
    return str(made["ModelPackageArn"])


def specification(account: HostingAccount, answer: str) -> dict[str, Any]:
    """Return an inference specification whose container answers with this text."""
    data = account.data({"name": answer.encode()})
    return {"Containers": [{"Image": account.image, "ModelDataUrl": data, "Environment": {"A": "package"}}]}


def test_a_group_is_described_listed_and_tagged(account: HostingAccount) -> None:
    """It is there under its name and its ARN, and a name is taken once."""
    name = group(account, ModelPackageGroupDescription="Irises", Tags=[{"Key": "team", "Value": "flowers"}])
    arn = f"{ARN}:model-package-group/{name.lower()}"
    described = account.sagemaker.describe_model_package_group(ModelPackageGroupName=arn)
    assert described["ModelPackageGroupName"] == name
    assert described["ModelPackageGroupDescription"] == "Irises"
    assert described["ModelPackageGroupStatus"] == "Completed"
    assert account.sagemaker.list_tags(ResourceArn=arn)["Tags"] == [{"Key": "team", "Value": "flowers"}]
    listed = account.sagemaker.list_model_package_groups(NameContains=name)["ModelPackageGroupSummaryList"]
    assert [found["ModelPackageGroupArn"] for found in listed] == [arn]
    assert refusal(lambda: account.sagemaker.create_model_package_group(ModelPackageGroupName=name)) == (
        f"ValidationException: Model Package Group already exists: {arn}"
    )


def test_versions_are_counted_and_described_as_they_were_made(account: HostingAccount) -> None:
    """Numbers go up in each group, and every member comes back."""
    name = group(account)
    metrics = {"ModelQuality": {"Statistics": {"ContentType": "application/json", "S3Uri": "s3://b/metrics.json"}}}
    properties = {"metric:validation:accuracy": "0.97"}
    first = version(account, name)
    second = version(account, name, ModelMetrics=metrics, CustomerMetadataProperties=properties)
    assert [first, second] == [f"{ARN}:model-package/{name.lower()}/{number}" for number in (1, 2)]
    described = account.sagemaker.describe_model_package(ModelPackageName=second)
    assert described["ModelPackageVersion"] == 2
    assert described["ModelPackageGroupName"] == name
    assert described["ModelPackageStatus"] == "Completed"
    assert described["ModelApprovalStatus"] == "PendingManualApproval"
    assert described["ModelMetrics"] == metrics
    assert described["CustomerMetadataProperties"] == properties


def test_one_token_makes_one_version(account: HostingAccount) -> None:
    """A repeated call finds what the first one made, until that is deleted."""
    name = group(account)
    first = version(account, name, ClientToken="one")
    assert version(account, name, ClientToken="one") == first
    assert version(account, name, ClientToken="two") != first
    account.sagemaker.delete_model_package(ModelPackageName=first)
    assert version(account, name, ClientToken="one") == f"{ARN}:model-package/{name.lower()}/3"


def test_an_update_changes_what_it_names(account: HostingAccount) -> None:
    """Approval and its reason are kept; properties are added, replaced and taken away."""
    name = group(account)
    arn = version(account, name, CustomerMetadataProperties={"a": "1", "b": "1", "c": "1"})
    account.sagemaker.update_model_package(
        ModelPackageArn=arn,
        ModelApprovalStatus="Approved",
        ApprovalDescription="it answers",
        CustomerMetadataProperties={"b": "2", "d": "2"},
        CustomerMetadataPropertiesToRemove=["c"],
    )
    described = account.sagemaker.describe_model_package(ModelPackageName=arn)
    assert described["ModelApprovalStatus"] == "Approved"
    assert described["ApprovalDescription"] == "it answers"
    assert described["CustomerMetadataProperties"] == {"a": "1", "b": "2", "d": "2"}
    assert described["LastModifiedTime"] >= described["CreationTime"]


def test_lists_tell_approved_versions_of_one_group(account: HostingAccount) -> None:
    """Group and approval are filters, the order is asked for, and pages go on where the last one ended."""
    name, other = group(account), group(account)
    arns = [version(account, name, ModelApprovalStatus="Approved") for _ in range(3)]
    version(account, name)
    version(account, other, ModelApprovalStatus="Approved")
    asked = {
        "ModelPackageGroupName": name,
        "ModelApprovalStatus": "Approved",
        "SortBy": "CreationTime",
        "SortOrder": "Descending",
    }
    first = account.sagemaker.list_model_packages(**asked, MaxResults=2)
    rest = account.sagemaker.list_model_packages(**asked, MaxResults=2, NextToken=first["NextToken"])
    listed = [*first["ModelPackageSummaryList"], *rest["ModelPackageSummaryList"]]
    assert [found["ModelPackageArn"] for found in listed] == arns[::-1]
    assert {found["ModelApprovalStatus"] for found in listed} == {"Approved"}
    everything = account.sagemaker.list_model_packages(ModelPackageGroupName=name)["ModelPackageSummaryList"]
    assert [found["ModelPackageVersion"] for found in everything] == [1, 2, 3, 4]
    assert account.sagemaker.list_model_packages()["ModelPackageSummaryList"] == []
    versioned = account.sagemaker.list_model_packages(ModelPackageType="Versioned", NameContains=other)
    assert len(versioned["ModelPackageSummaryList"]) == 1


def test_a_group_is_deleted_after_its_versions(account: HostingAccount) -> None:
    """Versions hold their group; what is deleted is unknown."""
    name = group(account)
    arn = version(account, name)

    def delete() -> Any:
        return account.sagemaker.delete_model_package_group(ModelPackageGroupName=name)

    assert error_response(delete)["Error"]["Code"] == "ConflictException"
    account.sagemaker.delete_model_package(ModelPackageName=arn)
    delete()
    assert refusal(lambda: account.sagemaker.describe_model_package(ModelPackageName=arn)) == (
        f"ValidationException: ModelPackage {arn} does not exist."
    )
    assert refusal(lambda: account.sagemaker.list_model_packages(ModelPackageGroupName=name)) == (
        f"ValidationException: ModelPackageGroup {ARN}:model-package-group/{name.lower()} does not exist."
    )


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        ({}, "Missing ARN."),
        ({"ModelPackageName": "iris"}, "without a group: give ModelPackageGroupName"),
        ({"ModelPackageName": "iris", "ModelPackageGroupName": "g"}, "Cannot determine which one to use."),
        ({"ModelPackageGroupName": "none"}, "model-package-group/none does not exist."),
        ({"ModelPackageGroupName": "none", "Tags": [{"Key": "a", "Value": "b"}]}, "Tags cannot be given"),
        ({"ModelPackageGroupName": "none", "ModelApprovalStatus": "Fine"}, "Member must satisfy enum value set"),
        ({"ModelPackageGroupName": "none", "CertifyForMarketplace": True}, "has CertifyForMarketplace, which"),
    ],
)
def test_what_is_no_version_is_refused(account: HostingAccount, request_: dict[str, Any], told: str) -> None:
    """Nothing that is asked for is dropped silently."""
    said = refusal(lambda: account.sagemaker.create_model_package(**request_))
    assert said.startswith("ValidationException: ")
    assert told in said


def test_an_approved_version_is_deployed_by_its_name(account: HostingAccount) -> None:
    """Its container serves, with the model's own variables; one that nobody approved is refused."""
    arn = version(account, group(account), InferenceSpecification=specification(account, "from the registry"))
    request = {
        "ModelName": account.name("packaged"),
        "ExecutionRoleArn": account.role_arn,
        "PrimaryContainer": {"ModelPackageName": arn, "Environment": {"B": "model"}},
    }
    assert refusal(lambda: account.sagemaker.create_model(**request)) == (
        f"ValidationException: ModelPackage {arn} is PendingManualApproval; only Approved ones can be deployed."
    )
    account.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Approved")
    account.sagemaker.create_model(**request)
    described = account.sagemaker.describe_model(ModelName=request["ModelName"])
    assert described["PrimaryContainer"] == request["PrimaryContainer"]
    endpoint = account.endpoint(account.config({"ModelName": request["ModelName"]}))
    assert account.invoke(endpoint) == "from the registry"
    environment = json.loads(account.invoke(endpoint, b"environment "))
    assert (environment["A"], environment["B"]) == ("package", "model")


def test_changes_are_told_to_eventbridge(account: HostingAccount) -> None:
    """A rule on the event of versions gets each creation and update, in order."""
    sqs, events = account.cloud.client("sqs"), account.cloud.client("events")
    queue = sqs.create_queue(QueueName="packages")["QueueUrl"]
    events.put_rule(
        Name="packages",
        EventPattern=json.dumps({"source": ["aws.sagemaker"], "detail-type": ["SageMaker Model Package State Change"]}),
    )
    events.put_targets(Rule="packages", Targets=[{"Id": "1", "Arn": "arn:aws:sqs:us-east-1:123456789012:packages"}])
    arn = version(account, group(account))
    account.sagemaker.update_model_package(ModelPackageArn=arn, ModelApprovalStatus="Rejected")
    told: list[dict[str, Any]] = []

    def both() -> bool:
        answer = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        told.extend(json.loads(message["Body"]) for message in answer.get("Messages", []))
        return len(told) == 2

    wait_until(both, "both events have arrived")
    assert {event["resources"][0] for event in told} == {arn}
    assert {event["detail"]["ModelApprovalStatus"] for event in told} == {"PendingManualApproval", "Rejected"}
    assert told[0]["detail"]["CreationTime"].endswith("Z")
