"""CreateTrainingJob requests that are refused before anything is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from tests.support.local_cloud import local_cloud
from tests.support.training import BUCKET, TrainingAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

_RESOURCES = {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1}
_GROUP = {"InstanceGroupName": "a", "InstanceType": "ml.m5.large", "InstanceCount": 1}
_NO_IMAGE = (
    "Invalid training image. Please provide a valid Amazon Elastic Container Registry path of the Docker image to run."
)
_SPOT = "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingAccount]:
    """One local AWS for the tests of this module."""
    with local_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield TrainingAccount(cloud)


def _refusal(account: TrainingAccount, **changes: Any) -> tuple[str, str]:
    """Return code and message of the refusal, after making sure that no job came of the request."""
    request = account.request(**changes)
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        account.sagemaker.create_training_job(**request)
    assert account.sagemaker.list_training_jobs()["TrainingJobSummaries"] == []
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"TrainingJobName": "x" * 70},
            f"2 validation errors detected: Value '{'x' * 70}' at 'trainingJobName' failed to satisfy constraint: "
            f"Member must have length less than or equal to 63; Value '{'x' * 70}' at 'trainingJobName' failed to "
            "satisfy constraint: Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        (
            {"TrainingJobName": "my_job"},
            "1 validation error detected: Value 'my_job' at 'trainingJobName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
        ),
        (
            {"algorithm": {"TrainingInputMode": "Stream"}},
            "1 validation error detected: Value 'Stream' at 'algorithmSpecification.trainingInputMode' failed to "
            "satisfy constraint: Member must satisfy enum value set: [Pipe, File, FastFile]",
        ),
        (
            {"HyperParameters": {"a": "x" * 2501}},
            f"1 validation error detected: Value '{{a={'x' * 197}…' at 'hyperParameters' failed to satisfy "
            "constraint: Map value must satisfy constraint: [Member must have length less than or equal to 2500]",
        ),
        ({"RoleArn": "arn:aws:iam::123456789012:role/nobody"}, "Could not assume role arn:aws:iam::123456789012:role/"),
        ({"RoleArn": "training-role-without-an-arn"}, "1 validation error detected: Value 'training-role-without-an"),
        ({"algorithm": {"TrainingImage": "python:3.12"}}, _NO_IMAGE),
        (
            {"algorithm": {"TrainingImage": "123456789012.dkr.ecr.us-east-1.amazonaws.com/none:1"}},
            f"{_NO_IMAGE} 123456789012.dkr.ecr.us-east-1.amazonaws.com/none:1: there is no image",
        ),
        ({"algorithm": {"AlgorithmName": "mine"}}, "Request: the local AWS does not have AlgorithmSpecification.Algo"),
        ({"ResourceConfig": None}, "ResourceConfig is required"),
        ({"StoppingCondition": None}, "StoppingCondition is required"),
        (
            {"ResourceConfig": {**_RESOURCES, "InstanceGroups": [_GROUP]}},
            "InstanceType or InstanceCount cannot be specified with InstanceGroups",
        ),
        ({"ResourceConfig": {"VolumeSizeInGB": 1}}, "ResourceConfig must have InstanceType and InstanceCount"),
        ({"ResourceConfig": {**_RESOURCES, "InstanceCount": 0}}, "InstanceCount is 0; at least 1 instance is needed."),
        (
            {"ResourceConfig": {"InstanceGroups": [_GROUP, _GROUP], "VolumeSizeInGB": 1}},
            "InstanceGroupName must be unique",
        ),
        ({"StoppingCondition": {"MaxRuntimeInSeconds": 2_419_201}}, "MaxRuntimeInSeconds is 2419201; at most 2419200"),
        ({"EnableManagedSpotTraining": True}, _SPOT),
        (
            {
                "EnableManagedSpotTraining": True,
                "StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 99},
            },
            _SPOT,
        ),
        (
            {"StoppingCondition": {"MaxRuntimeInSeconds": 100, "MaxWaitTimeInSeconds": 200}},
            "Invalid MaxWaitTimeInSeconds. It must not be present without EnableManagedSpotTraining",
        ),
        ({"algorithm": {"MetricDefinitions": [{"Name": "m", "Regex": "("}]}}, "Regex of the metric 'm' is no regular"),
        ({"algorithm": {"MetricDefinitions": [{"Name": "m", "Regex": "m"}]}}, "Regex of the metric 'm' has no capture"),
        (
            {"CheckpointConfig": {"S3Uri": f"s3://{BUCKET}/c", "LocalPath": "/state"}},
            "Request: the local AWS does not have CheckpointConfig.LocalPath '/state' outside /opt/ml",
        ),
        (
            {"CheckpointConfig": {"S3Uri": "s3://no-such-bucket-anywhere/c"}},
            'The bucket "no-such-bucket-anywhere" of the S3 URL "s3://no-such-bucket-anywhere/c" given in Checkpoint',
        ),
        (
            {"Environment": {"MODE": "a\0b"}},
            r"Value 'a\x00b' at 'environment' failed to satisfy constraint: Member must not have NUL characters",
        ),
        (
            {"algorithm": {"ContainerArguments": ["train", "\0"]}},
            r"Value '\x00' at 'algorithmSpecification.containerArguments' failed to satisfy constraint: Member must",
        ),
        ({"OutputDataConfig": {"S3OutputPath": "https://s3.amazonaws.com/b/k"}}, "Value 'https://s3.amazonaws.com/b/k"),
        ({"Tags": [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]}, "Duplicate tag keys found: a."),
        ({"Tags": [{"Key": "aws:x", "Value": "1"}]}, "aws: prefixed tag key names are not allowed for external use."),
    ],
)
def test_a_request_that_cannot_work_is_refused(account: TrainingAccount, changes: dict[str, Any], message: str) -> None:
    """The refusal is a ValidationException that names the field, what was given and what is allowed."""
    code, text = _refusal(account, **changes)

    assert code == "ValidationException"
    assert text.startswith(message)


def test_too_many_instances_are_beyond_the_quota(account: TrainingAccount) -> None:
    """A cluster larger than AWS's default quota is refused as AWS refuses it."""
    code, text = _refusal(account, ResourceConfig={**_RESOURCES, "InstanceCount": 21})

    assert code == "ResourceLimitExceeded"
    assert text.startswith("The account-level service limit 'ml.m5.large for training job usage' is 20 Instances")


@pytest.mark.parametrize("uri", [f"s3://{BUCKET}/nothing/here", "s3://no-such-bucket-anywhere/x"])
def test_an_input_without_objects_is_refused(account: TrainingAccount, uri: str) -> None:
    """The text is AWS's, with the address, the region, the role and the bucket."""
    code, text = _refusal(account, InputDataConfig=[account.channel("train", "", S3Uri=uri)])

    assert code == "ValidationException"
    assert text == (
        f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in '
        "the selected region (us-east-1), that objects exist under that S3 prefix, and that the role "
        f'"{account.role_arn}" has "s3:ListBucket" permissions on bucket "{uri.split("/")[2]}".'
    )


@pytest.mark.parametrize(
    ("channels", "message"),
    [
        ([("train", {}), ("train", {})], "Duplicate ChannelName in InputDataConfig: ['train']."),
        (
            [("train", {"InputMode": "Pipe"})],
            "InputDataConfig channel 'train': the local AWS does not have input mode Pipe; use File or FastFile.",
        ),
        (
            [("train", {"S3DataType": "AugmentedManifestFile"})],
            "InputDataConfig channel 'train': the local AWS does not have S3DataType AugmentedManifestFile",
        ),
        (
            [("train", {"S3DataType": "ManifestFile", "InputMode": "FastFile"})],
            "InputDataConfig channel 'train': FastFile mode supports only S3DataType S3Prefix, got ManifestFile.",
        ),
    ],
)
def test_a_channel_that_cannot_be_served_is_refused(
    account: TrainingAccount, channels: list[tuple[str, dict[str, str]]], message: str
) -> None:
    """The refusal names the channel."""
    made = [account.channel(name, "data/train", **changes) for name, changes in channels]

    code, text = _refusal(account, InputDataConfig=made)

    assert code == "ValidationException"
    assert text.startswith(message)


def test_a_channel_for_an_unknown_group_is_refused(account: TrainingAccount) -> None:
    """InstanceGroupNames must be groups of the cluster."""
    channel = account.channel("train", "data/train")
    channel["DataSource"]["S3DataSource"]["InstanceGroupNames"] = ["b"]

    _, text = _refusal(account, ResourceConfig={"InstanceGroups": [_GROUP]}, InputDataConfig=[channel])

    assert "InstanceGroupNames ['b'] are no groups of ResourceConfig (['a'])" in text


def test_a_file_system_channel_is_refused(account: TrainingAccount) -> None:
    """EFS and FSx do not exist here, and the refusal says what to do instead."""
    source = {
        "FileSystemId": "fs-12345678",
        "FileSystemAccessMode": "ro",
        "FileSystemType": "EFS",
        "DirectoryPath": "/data",
    }
    channel = {"ChannelName": "train", "DataSource": {"FileSystemDataSource": source}}

    _, text = _refusal(account, InputDataConfig=[channel])

    assert text.endswith("the local AWS does not have a DataSource other than S3DataSource; copy the data to S3.")


def test_a_role_that_does_not_trust_sagemaker_is_refused(account: TrainingAccount) -> None:
    """The role exists, but only EC2 may assume it."""
    statement = {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    arn = account.make_role("for-ec2", {"Version": "2012-10-17", "Statement": [statement]})

    code, text = _refusal(account, RoleArn=arn)

    assert code == "ValidationException"
    assert text == (
        f"Could not assume role {arn}. Please ensure that the role exists and allows principal "
        "'sagemaker.amazonaws.com' to assume the role."
    )
