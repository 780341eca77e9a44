"""What the API of transform jobs takes, refuses and lists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hosting import BUCKET, HostingAccount, arn, refusal
from tests.support.process_cloud import process_cloud
from tests.support.transforming import TransformAccount

if TYPE_CHECKING:
    from collections.abc import Iterator

_HERE = "ValidationException: Request: the local AWS does not have "


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransformAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=3.0) as cloud:
        yield TransformAccount(HostingAccount(cloud))


@pytest.fixture(scope="module")
def model(account: TransformAccount) -> str:
    """A model that answers."""
    return account.model("alpha")


def _refusal(account: TransformAccount, model: str, **changes: Any) -> str:
    """Return the refusal, after making sure that no job came of the request."""
    request = account.request(model, {"a": b"1"}, **changes)
    told = refusal(lambda: account.sagemaker.create_transform_job(**request))
    name = request["TransformJobName"]
    assert account.sagemaker.list_transform_jobs(NameContains=name)["TransformJobSummaries"] == []
    return told


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"SplitType": "RecordIO"}, f"{_HERE}SplitType RecordIO; use None or Line."),
        ({"SplitType": "TFRecord"}, f"{_HERE}SplitType TFRecord; use None or Line."),
        ({"DataProcessing": {"InputFilter": "$[1:]"}}, f"{_HERE}DataProcessing; send and keep whole records."),
        ({"DataProcessing": {"OutputFilter": "$[0]"}}, f"{_HERE}DataProcessing; send and keep whole records."),
        ({"DataProcessing": {"JoinSource": "Input"}}, f"{_HERE}DataProcessing; send and keep whole records."),
        ({"DataCaptureConfig": {"DestinationS3Uri": "s3://b/c"}}, f"{_HERE}DataCaptureConfig; leave it out."),
        ({"MaxPayloadInMB": 0}, f"{_HERE}MaxPayloadInMB 0, HTTP chunked encoding; use 1 to 100."),
        (
            {"MaxPayloadInMB": 101},
            "ValidationException: MaxPayloadInMB is 101 and MaxConcurrentTransforms is 1; their product must not "
            "exceed 100.",
        ),
        (
            {"MaxPayloadInMB": 20, "MaxConcurrentTransforms": 6},
            "ValidationException: MaxPayloadInMB is 20 and MaxConcurrentTransforms is 6; their product must not "
            "exceed 100.",
        ),
        (
            {"TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 21}},
            "ResourceLimitExceeded: The account-level service limit 'ml.m5.large for transform job usage' is 20 "
            "Instances, with current utilization of 0 Instances and a request delta of 21 Instances. Please use AWS "
            "Service Quotas to request an increase for this quota.",
        ),
        (
            {"S3Uri": f"s3://{BUCKET}/nothing-here/"},
            f'ValidationException: No S3 objects found under S3 URL "s3://{BUCKET}/nothing-here/" given in input data '
            "source. Please ensure that the bucket exists in the selected region (us-east-1), that objects exist under "
            'that S3 prefix, and that the role of the model has "s3:ListBucket" permissions on bucket '
            f'"{BUCKET}".',
        ),
        (
            {"S3Uri": "https://bucket/key"},
            "ValidationException: Value 'https://bucket/key' at 'transformInput.dataSource.s3DataSource.s3Uri' is no "
            "S3 URI that the local AWS reads: 'https://bucket/key' is not of the form s3://bucket/key",
        ),
        (
            {"TransformOutput": {"S3OutputPath": "https://bucket/key"}},
            "ValidationException: Value 'https://bucket/key' at 'transformOutput.s3OutputPath' is no S3 URI that the "
            "local AWS reads: 'https://bucket/key' is not of the form s3://bucket/key",
        ),
        (
            {"ContentType": "text/csv\t"},
            "ValidationException: Value 'text/csv\\t' at 'transformInput.contentType' failed to satisfy "
            "constraint: Member must have printable ASCII only",
        ),
        (
            {"Accept": "\N{SNOWMAN}"},
            "ValidationException: Value '\\u2603' at 'transformOutput.accept' failed to satisfy constraint: Member "
            "must have printable ASCII only",
        ),
        (
            {"BatchStrategy": "AllRecords"},
            "ValidationException: 1 validation error detected: Value 'AllRecords' at 'batchStrategy' failed to satisfy "
            "constraint: Member must satisfy enum value set: [MultiRecord, SingleRecord]",
        ),
        (
            {"Tags": [{"Key": "k", "Value": "1"}] * 2},
            "ValidationException: Duplicate tag keys found: k. Give every key once.",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_made(
    account: TransformAccount, model: str, changes: dict[str, Any], expected: str
) -> None:
    """Each refusal says which member it is about."""
    assert _refusal(account, model, **changes) == expected


def test_an_augmented_manifest_is_refused(account: TransformAccount, model: str) -> None:
    """AWS does not take one for transform jobs either."""
    request = account.request(model, {"a": b"1"})
    request["TransformInput"]["DataSource"]["S3DataSource"]["S3DataType"] = "AugmentedManifestFile"

    assert refusal(lambda: account.sagemaker.create_transform_job(**request)) == (
        "ValidationException: S3DataType AugmentedManifestFile is not supported for transform jobs; use S3Prefix or "
        "ManifestFile."
    )


def test_filters_that_leave_everything_are_taken(account: TransformAccount, model: str) -> None:
    """They are what holds without them."""
    processing = {"InputFilter": "$", "OutputFilter": "$", "JoinSource": "None"}

    assert account.run(model, {"a": b"1"}, DataProcessing=processing)["TransformJobStatus"] == "Completed"


def test_the_model_must_exist(account: TransformAccount) -> None:
    """The words are those of DescribeModel."""
    assert _refusal(account, "no-model") == f'ValidationException: Could not find model "{arn("model", "no-model")}".'


def test_a_name_is_taken_for_good(account: TransformAccount, model: str) -> None:
    """Also after the job has ended: nothing deletes one."""
    request = account.request(model, {"a": b"1"})
    created = account.sagemaker.create_transform_job(**request)
    name = request["TransformJobName"]
    account.finish(name)

    assert created["TransformJobArn"] == arn("transform-job", name)
    assert refusal(lambda: account.sagemaker.create_transform_job(**request)) == (
        "ResourceInUse: Job name must be unique within an AWS account and region, and a job with this name already "
        f"exists ({arn('transform-job', name)})"
    )


@pytest.mark.parametrize("operation", ["describe_transform_job", "stop_transform_job"])
def test_a_job_that_is_not_there_is_not_found(account: TransformAccount, operation: str) -> None:
    """By the words from which AWS's own tools conclude it."""
    assert refusal(lambda: getattr(account.sagemaker, operation)(TransformJobName="no-job")) == (
        "ValidationException: Could not find requested job with name: no-job"
    )


def test_the_description_is_the_request(account: TransformAccount, model: str) -> None:
    """With what was left out of the input and the output filled in; tags are asked for by their own call."""
    request = account.request(
        model, {"a": b"1"}, MaxPayloadInMB=2, Environment={"A": "1"}, Tags=[{"Key": "team", "Value": "blue"}]
    )
    account.sagemaker.create_transform_job(**request)

    job = account.finish(request["TransformJobName"])

    tags = request.pop("Tags")
    request["TransformInput"] |= {"SplitType": "None", "CompressionType": "None"}
    request["TransformOutput"] |= {"AssembleWith": "None", "KmsKeyId": ""}
    assert {member: job[member] for member in request} == request
    assert "LastModifiedTime" not in job
    assert account.sagemaker.list_tags(ResourceArn=job["TransformJobArn"])["Tags"] == tags


def test_jobs_are_listed_newest_first_with_their_ends(account: TransformAccount, model: str) -> None:
    """A summary has the reason of a failure; filters look at status and name."""
    good = account.run(model, {"a": b"1"})
    bad = account.run(model, {"a": b"status 400"})

    newest = account.sagemaker.list_transform_jobs(MaxResults=2)["TransformJobSummaries"]
    (failed,) = account.sagemaker.list_transform_jobs(StatusEquals="Failed", NameContains=bad["TransformJobName"])[
        "TransformJobSummaries"
    ]
    assert [job["TransformJobName"] for job in newest] == [bad["TransformJobName"], good["TransformJobName"]]
    assert failed["FailureReason"] == bad["FailureReason"]
    assert failed["TransformEndTime"] == bad["TransformEndTime"]
    assert failed["LastModifiedTime"] >= failed["TransformEndTime"]
