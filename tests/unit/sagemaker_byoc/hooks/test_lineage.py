"""What is found out about the data of a job, and where the record goes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.lineage import LineageHook
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_registry import FakeRegistry

BEFORE = datetime(2026, 1, 1, tzinfo=timezone.utc)


def hook(maximum_objects: int = 10) -> LineageHook:
    """Make a hook on the fake AWS."""
    return LineageHook(AwsConnection(aws_conn_id=None), maximum_objects=maximum_objects)


def job(**source: Any) -> dict[str, Any]:
    """Return the description of a job with one channel."""
    return {"CreationTime": BEFORE, "InputDataConfig": [{"ChannelName": "train", "DataSource": source}]}


@pytest.mark.parametrize(
    ("source", "uri"),
    [
        ({"S3DataSource": {"S3DataType": "ManifestFile", "S3Uri": "s3://b/m.json"}}, "s3://b/m.json"),
        ({"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": "https://b/x"}}, "https://b/x"),
        ({"FileSystemDataSource": {"FileSystemId": "fs-1"}}, ""),
    ],
)
def test_a_channel_that_is_no_prefix_is_named_only(aws: FakeAws, source: dict[str, Any], uri: str) -> None:
    """What it read cannot be told from a listing, so none is made."""
    [channel] = hook().channels(job(**source))
    assert (channel.name, channel.uri, channel.objects) == ("train", uri, None)
    assert aws.calls == []


def test_a_listing_that_may_pass_later_is_left_to_a_retry(aws: FakeAws) -> None:
    """Throttling is no reason to register a model without its data."""
    aws.on("ListObjectsV2", AwsSays("SlowDown", "Please reduce your request rate."))
    with pytest.raises(Exception, match="reduce your request rate"):
        hook().channels(job(S3DataSource={"S3DataType": "S3Prefix", "S3Uri": "s3://b/x"}))


def test_as_many_objects_as_allowed_are_recorded(aws: FakeAws) -> None:
    """The limit itself is still within it."""
    registry = FakeRegistry(aws)
    registry.objects = [
        {"Key": f"x/{number}", "ETag": f'"{number}"', "Size": 1, "LastModified": BEFORE} for number in range(2)
    ]
    source = {"S3DataType": "S3Prefix", "S3Uri": "s3://b/x/"}
    [channel] = hook(2).channels(job(S3DataSource=source))
    assert channel.objects is not None
    assert [(one.key, one.etag) for one in channel.objects] == [("0", "0"), ("1", "1")]
    assert hook(1).channels(job(S3DataSource=source))[0].objects is None


@pytest.mark.parametrize(
    ("artifact", "uri"),
    [
        ("s3://b/models/job/output/model.tar.gz", "s3://b/models/job/output/model_package.json"),
        ("s3://b/model.tar.gz", "s3://b/model_package.json"),
    ],
)
def test_the_record_goes_beside_the_artifact(aws: FakeAws, artifact: str, uri: str) -> None:
    """Also where the artifact lies at the top of its bucket."""
    FakeRegistry(aws)
    assert hook().write(b"{}", artifact)["S3Uri"] == uri
