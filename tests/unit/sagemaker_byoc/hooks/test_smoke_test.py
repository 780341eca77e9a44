"""Asking an endpoint, without the task around it."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.errors import EndpointSupersededError, SmokeTestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.smoke_test import SmokeTest
from tests.support.fake_endpoint import FakeEndpoint

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws

CSV = b"length,species\n1,setosa\n9,virginica\n"


def answer(**request: Any) -> dict[str, Any]:
    """Call everything setosa."""
    lines = bytes(request["Body"]).splitlines()[1:]
    return {"Body": io.BytesIO(json.dumps(["setosa"] * len(lines)).encode()), "ContentType": "application/json"}


def test_what_is_prepared_can_be_asked_again(aws: FakeAws) -> None:
    """An earlier configuration is asked the same questions, and the records are read once."""
    aws.on("GetObject", lambda **_: {"Body": io.BytesIO(CSV)})
    aws.on("InvokeEndpoint", answer)
    endpoint = FakeEndpoint(aws)
    prepared = SmokeTest(AwsConnection(None), "iris", "s3://bucket/test.csv", "species").prepare()
    for config in ("new", "old"):
        endpoint.exists("InService", config)
        report = prepared.ask(config)
        assert (report.variants[0].correct, report.variants[0].asked) == (1, 2)
    with pytest.raises(EndpointSupersededError, match="old instead of new"):
        prepared.ask("new")
    assert len(aws.asked("GetObject")) == 1
    assert len(aws.asked("InvokeEndpoint")) == 2 * 3


def test_a_model_that_is_not_live_yet_proves_nothing(aws: FakeAws) -> None:
    """While the update goes on, the old containers answer, and may answer rightly."""
    FakeEndpoint(aws).exists("Updating", "old", pending="new")
    prepared = SmokeTest(AwsConnection(None), "iris", [{"length": 1, "species": "setosa"}], "species").prepare()
    with pytest.raises(SmokeTestError, match="still being given new"):
        prepared.ask("new")
    assert not aws.asked("InvokeEndpoint")


def test_preparing_asks_the_endpoint_nothing(aws: FakeAws) -> None:
    """What is wrong with the test shows before anything is deployed."""
    rows = [{"length": 1, "species": "setosa"}]
    SmokeTest(AwsConnection(None), "iris", rows, "species", target_variants=["A"], each_variant=False).prepare()
    assert aws.calls == []


def test_what_warms_up_is_not_measured(aws: FakeAws) -> None:
    """A container's first answer takes longest, and says nothing about the others."""
    aws.on("InvokeEndpoint", answer)
    rows = [{"length": 1, "species": "setosa"}]
    test = SmokeTest(AwsConnection(None), "iris", rows, "species", warm_up_requests=3, repeats=2)
    assert len(test.prepare().ask().variants[0].latencies_ms) == 2
    assert len(aws.asked("InvokeEndpoint")) == 3 + 2
