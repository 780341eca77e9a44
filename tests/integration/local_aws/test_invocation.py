"""InvokeEndpoint against a real serving process."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest
import urllib3

from local_aws.runtime.invocation import invoke
from tests.support.hosting import HostingAccount
from tests.support.process_cloud import process_cloud, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIMIT_BYTES = 6_291_456


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud")) as cloud:
        yield HostingAccount(cloud)


@pytest.fixture(scope="module")
def name(account: HostingAccount) -> str:
    """One endpoint for the tests of this module."""
    return account.endpoint(account.simple_config("alpha"))


def _error(call: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    response: dict[str, Any] = dict(caught.value.response)
    return response


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (415, "client"), (500, "server"), (503, "server")])
def test_a_bad_status_of_the_container_is_a_model_error(
    account: HostingAccount, name: str, status: int, kind: str
) -> None:
    """Code 424 with the container's status and body, worded as on AWS."""
    response = _error(lambda: account.invoke(name, f"status {status}".encode()))

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["Error"]["Message"] == (
        f'Received {kind} error ({status}) from primary with message "because of you". See '
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
        f"group=/aws/sagemaker/Endpoints/{name} in account 123456789012 for more information."
    )
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == "because of you"
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")


def test_only_documented_headers_reach_the_container(account: HostingAccount, name: str) -> None:
    """Signature, date and the like stay behind; those of InvokeEndpoint are passed on."""
    text = account.invoke(
        name,
        b"headers",
        ContentType="text/csv",
        Accept="application/json",
        CustomAttributes="a=b",
        InferenceId="one",
        TargetVariant="AllTraffic",
    )

    headers = {header.lower(): value for header, value in json.loads(text).items()}
    assert headers["content-type"] == "text/csv"
    assert headers["accept"] == "application/json"
    assert headers["x-amzn-sagemaker-custom-attributes"] == "a=b"
    assert headers["x-amzn-sagemaker-inference-id"] == "one"
    assert not {"authorization", "x-amz-date", "amz-sdk-invocation-id"} & set(headers)


def test_bodies_are_bytes(account: HostingAccount, name: str) -> None:
    """Nothing is decoded on the way, in either direction."""
    body = b"echo " + bytes(range(256))

    answer = account.runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/octet-stream")

    assert answer["Body"].read() == body


def test_a_body_may_have_six_mebibytes_and_no_byte_more(account: HostingAccount, name: str) -> None:
    """The limit is the service model's."""
    assert len(account.invoke(name, b"echo ".ljust(LIMIT_BYTES, b"x"))) == LIMIT_BYTES

    response = _error(lambda: account.invoke(name, b"echo ".ljust(LIMIT_BYTES + 1, b"x")))

    assert response["Error"]["Code"] == "ValidationError"
    assert "less than or equal to 6291456" in response["Error"]["Message"]


def test_an_answer_that_is_too_large_is_a_model_error(account: HostingAccount, name: str) -> None:
    """It names the size and the limit."""
    response = _error(lambda: account.invoke(name, f"large {LIMIT_BYTES + 1}".encode()))

    assert response["OriginalMessage"] == (
        "The answer of container primary has 6291457 bytes; at most 6291456 are allowed"
    )


@pytest.mark.parametrize(
    ("request_members", "message"),
    [
        ({"TargetVariant": "Other"}, "Variant Other of endpoint"),
        ({"TargetModel": "a.tar.gz"}, "TargetModel is given"),
        ({"InferenceComponentName": "a"}, "InferenceComponentName is given"),
    ],
)
def test_what_the_endpoint_does_not_have_is_refused(
    account: HostingAccount, name: str, request_members: dict[str, str], message: str
) -> None:
    """A request for something else than the endpoint has is no request for what it has."""
    response = _error(lambda: account.invoke(name, b"1", **request_members))

    assert response["Error"]["Code"] == "ValidationError"
    assert message in response["Error"]["Message"]


def test_an_unknown_endpoint_is_refused_in_the_words_of_aws(account: HostingAccount) -> None:
    """The account number is part of them."""
    response = _error(lambda: account.invoke("none"))

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint none of account 123456789012 not found.",
    }


def test_streaming_is_refused_clearly(account: HostingAccount, name: str) -> None:
    """The answer is a 4xx that says what is missing, not an empty stream."""
    response = _error(lambda: account.runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=b"1"))

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert "InvokeEndpointWithResponseStream" in response["Error"]["Message"]


def test_invocations_are_counted_in_cloudwatch(account: HostingAccount) -> None:
    """Sums are right for good and bad answers, under AWS's namespace and dimensions."""
    name = account.endpoint(account.simple_config("alpha"))
    for body in (b"1", b"1", b"status 400", b"status 500"):
        try:
            account.invoke(name, body)
        except botocore.exceptions.ClientError as error:
            assert error.response["Error"]["Code"] == "ModelError"  # noqa: PT017

    wait_until(lambda: _sum(account, name, "Invocations") == 4, "all four are counted")
    assert _sum(account, name, "Invocation4XXErrors") == 1
    assert _sum(account, name, "Invocation5XXErrors") == 1
    assert _sum(account, name, "ModelLatency") > 0


def _sum(account: HostingAccount, endpoint: str, metric: str) -> float:
    now = dt.datetime.now(dt.timezone.utc)
    points = account.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": "AllTraffic"}],
        StartTime=now - dt.timedelta(minutes=10),
        EndTime=now + dt.timedelta(minutes=10),
        Period=3600,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in points))


@contextmanager
def _container(*replies: bytes | None) -> Iterator[urllib3.HTTPConnectionPool]:
    """Accept connections one after the other; None closes one without an answer, b"" keeps it silent."""
    server = socket.create_server(("127.0.0.1", 0))
    silent: list[socket.socket] = []

    def serve() -> None:
        for reply in replies:
            connection, _ = server.accept()
            connection.recv(65_536)
            if reply == b"":
                silent.append(connection)
                continue
            connection.sendall(reply or b"")
            connection.close()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield urllib3.HTTPConnectionPool("127.0.0.1", server.getsockname()[1])
    for connection in silent:
        connection.close()
    server.close()


def test_a_container_that_takes_too_long_is_an_error_of_status_zero() -> None:
    """The words are those of AWS."""
    with _container(b"") as connections:
        invocation = invoke(connections, {"Body": b"1"}, timeout_seconds=0.2)

    assert invocation.status == 0
    assert invocation.error("e", "us-east-1", "1", "arn").message.startswith(
        'Received server error (0) from primary with message "Your invocation timed out while waiting for a response '
        "from container primary. Review the latency metrics for each container in Amazon CloudWatch"
    )


def test_a_connection_that_the_container_just_closed_is_tried_anew() -> None:
    """Closing an idle connection is a server's right and no failure of the model."""
    with _container(None, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") as connections:
        invocation = invoke(connections, {"Body": b"1"})

    assert (invocation.status, invocation.body) == (200, b"ok")


def test_a_container_that_never_answers_is_a_server_error() -> None:
    """After a second closed connection the client is told."""
    with _container(None, None) as connections:
        invocation = invoke(connections, {"Body": b"1"})

    assert invocation.status == 500
    assert b"closed the connection without an answer" in invocation.body
