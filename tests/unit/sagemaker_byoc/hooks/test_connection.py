"""Where boto3 clients come from."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks import connection
from sagemaker_byoc.hooks.connection import AwsConnection
from tests.support.fake_aws import FakeAws, fake_aws

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
    with connection._making_clients:
        assert AwsConnection(None).client("sagemaker") is not None
