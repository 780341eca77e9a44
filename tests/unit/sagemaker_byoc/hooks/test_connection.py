"""Where boto3 clients come from."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from botocore.exceptions import ClientError

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks import connection
from sagemaker_byoc.hooks.connection import AwsConnection
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def aws() -> Iterator[FakeAws]:
    """AWS that answers nothing."""
    with fake_aws() as aws:
        yield aws


def test_threads_share_one_client() -> None:
    """A hundred waits in a triggerer open one session, however they start."""
    together = threading.Barrier(8)

    def make(_: int) -> int:
        together.wait()
        return id(AwsConnection(None).client("sagemaker"))

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(make, range(8)))) == 1


def test_every_parameter_reaches_the_client() -> None:
    """Region, certificates and botocore's own settings are the user's."""
    client = AwsConnection(None, "eu-north-1", verify=False, botocore_config={"read_timeout": 7}).client("s3")
    assert client.meta.region_name == "eu-north-1"
    assert client.meta.config.read_timeout == 7
    assert client._endpoint.http_session._verify is False


def test_connections_that_differ_have_clients_of_their_own() -> None:
    """Neither region nor settings of one task reach another task's calls."""
    one = AwsConnection(None, "eu-north-1").client("sagemaker")
    assert AwsConnection(None, "eu-west-1").client("sagemaker") is not one
    assert AwsConnection(None, "eu-north-1", botocore_config={"read_timeout": 7}).client("sagemaker") is not one


def test_the_region_is_the_one_that_calls_go_to() -> None:
    """Without a region of its own the connection's, or boto3's, counts."""
    assert AwsConnection(None).region == "eu-west-1"
    assert AwsConnection(None, "us-gov-west-1").region == "us-gov-west-1"


def test_a_trigger_carries_the_connection_as_json() -> None:
    """What is serialised makes the same connection again."""
    one = AwsConnection("aws", "eu-west-1", "/ca.pem", {"read_timeout": 7})
    assert AwsConnection(**json.loads(json.dumps(one.serialize()))) == one


def test_requests_are_checked_without_a_call(aws: FakeAws) -> None:
    """The model that the check follows is botocore's own, which lies on disk."""
    with pytest.raises(RequestError, match=r"^config\.EndpointName"):
        AwsConnection(None).conform("sagemaker", "DeleteEndpoint", {})
    assert aws.calls == []


def test_a_signal_may_interrupt_the_making_of_a_client() -> None:
    """on_kill runs in a signal handler on the very thread that may hold the lock."""
    one = AwsConnection(None)
    with connection._making.setdefault((one.key, "sagemaker"), threading.RLock()):
        assert one.client("sagemaker") is not None


def test_a_client_that_takes_long_to_make_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """One connection's credentials may come from a service that hangs."""
    hangs, goes_on = threading.Event(), threading.Event()
    make = AwsConnection._make_client

    def slow(one: AwsConnection, service: str) -> Any:
        if one.region_name == "eu-west-3":
            hangs.set()
            goes_on.wait(10)
        return make(one, service)

    monkeypatch.setattr(AwsConnection, "_make_client", slow)
    other = threading.Thread(target=AwsConnection(None, "eu-west-3").client, args=("sagemaker",))
    other.start()
    try:
        assert hangs.wait(10)
        assert AwsConnection(None, "eu-west-1").client("sagemaker") is not None
    finally:
        goes_on.set()
        other.join()


def test_a_client_is_made_anew_after_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A triggerer that lives for months notices a key that was rotated and a connection that was edited."""
    now = 1000.0
    with mock.patch("time.monotonic", side_effect=lambda: now):
        first = AwsConnection(None).client("sagemaker")
        now += 599
        assert AwsConnection(None).client("sagemaker") is first
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "rotated")
        now += 2
        assert AwsConnection(None).client("sagemaker")._request_signer._credentials.access_key == "rotated"


@pytest.mark.parametrize("code", ["ExpiredToken", "UnrecognizedClientException", "InvalidSignatureException"])
def test_a_refused_key_is_not_used_again(aws: FakeAws, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    """All clients of that connection are made anew at their next use, those of another one are kept."""
    aws.on("DescribeEndpoint", AwsSays(code, "no"))
    refused, other = AwsConnection(None), AwsConnection(None, "eu-north-1")
    kept = other.client("s3")
    refused.client("s3")
    with pytest.raises(ClientError, match=code):
        refused.client("sagemaker").describe_endpoint(EndpointName="e")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "rotated")
    for service in ("s3", "sagemaker"):
        assert refused.client(service)._request_signer._credentials.access_key == "rotated"
    assert other.client("s3") is kept


def test_any_other_refusal_keeps_the_client(aws: FakeAws) -> None:
    """Throttling is no reason to make a client for each call."""
    aws.on("DescribeEndpoint", AwsSays("ThrottlingException", "slow down"))
    client = AwsConnection(None).client("sagemaker")
    with pytest.raises(ClientError, match="slow down"):
        client.describe_endpoint(EndpointName="e")
    assert AwsConnection(None).client("sagemaker") is client
