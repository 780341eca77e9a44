"""Tags of resources."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.tag import TagRegistry


def test_a_resource_that_nobody_registered_has_no_tags() -> None:
    """Its tags cannot be changed or listed."""
    tags = TagRegistry()

    requests: dict[str, dict[str, Any]] = {"AddTags": {"Tags": []}, "ListTags": {}, "DeleteTags": {"TagKeys": ["a"]}}
    for operation, request in requests.items():
        with pytest.raises(AwsError, match="Requested resource not found"):
            tags.operations[operation]({"ResourceArn": "arn", **request})


def test_forgetting_a_resource_takes_its_tags_away() -> None:
    """A new resource of the same name starts without them."""
    tags = TagRegistry()
    tags.register("arn", [{"Key": "a", "Value": "1"}])
    tags.forget("arn")
    tags.register("arn")

    assert tags.of("arn") == []


@pytest.mark.parametrize("key", ["aws:created-by", "AWS:x"])
def test_keys_of_aws_are_refused(key: str) -> None:
    """Only AWS itself may use them."""
    with pytest.raises(AwsError, match="not allowed for external use"):
        TagRegistry().check([{"Key": key, "Value": ""}])
