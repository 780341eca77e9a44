"""Where an object lies in S3."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.s3_location import S3Location

BUCKETS = st.from_regex(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", fullmatch=True)


@given(BUCKETS, st.text(min_size=1))
def test_every_key_is_read_back_as_it_is(bucket: str, key: str) -> None:
    """Whatever a key holds, ``#``, ``?``, ``%`` and slashes too, nothing is cut off or decoded."""
    assert S3Location.parse(f"s3://{bucket}/{key}", "records") == S3Location(bucket, key)


@pytest.mark.parametrize("uri", ["s3://bucket", "s3://bucket/"])
def test_a_whole_bucket_is_a_prefix_but_no_object(uri: str) -> None:
    """A channel may read all of a bucket; an artifact is one object."""
    assert S3Location.parse(uri, "uri", whole_bucket=True) == S3Location("bucket", "")
    with pytest.raises(RequestError, match=r"^uri: got 's3://bucket.*allowed is s3://<bucket>/<key>"):
        S3Location.parse(uri, "uri")


@pytest.mark.parametrize("uri", ["", "s3://", "s3:///key", "https://bucket/key", "bucket/key", None, 7])
def test_anything_else_is_refused_with_its_field(uri: Any) -> None:
    """The message names the field, what was given and what is allowed."""
    with pytest.raises(RequestError, match=r"^config\.ModelDataUrl: got .*s3://<bucket>"):
        S3Location.parse(uri, "config.ModelDataUrl", whole_bucket=True)
