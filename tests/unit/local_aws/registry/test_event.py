"""The registry's notifications."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.registry.event import Push, read_pushes

_DIGEST = "sha256:" + "a" * 64
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"


def _envelope(*events: dict[str, Any]) -> bytes:
    return json.dumps({"events": events}).encode()


def _event(action: str = "push", **target: Any) -> dict[str, Any]:
    return {"action": action, "target": {"mediaType": _DOCKER, "digest": _DIGEST, "repository": "churn", **target}}


def test_a_pushed_manifest_is_a_push_with_its_tag() -> None:
    """One that was pushed by digest has none."""
    pushes = read_pushes(_envelope(_event(tag="v1"), _event(tag="")))

    assert pushes == [Push("churn", _DIGEST, _DOCKER, "v1"), Push("churn", _DIGEST, _DOCKER)]


@pytest.mark.parametrize(
    "event",
    [
        _event("pull", tag="v1"),
        _event("delete"),
        _event(mediaType="application/octet-stream"),
        _event(mediaType="application/vnd.docker.container.image.v1+json"),
    ],
)
def test_nothing_else_is(event: dict[str, Any]) -> None:
    """Pulls, deletions and the parts of an image are no news to ECR."""
    assert read_pushes(_envelope(event)) == []


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"events": 1}', b'{"events": [1]}', _envelope({"action": "push"})[:9]]
)
def test_what_is_no_envelope_is_refused(body: bytes) -> None:
    """With what is wrong, not with a 500."""
    with pytest.raises(AwsError, match="no envelope of registry events"):
        read_pushes(body)
