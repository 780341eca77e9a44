"""InvokeEndpoint against a real serving process."""

from __future__ import annotations

import datetime as dt
import json
import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import botocore.exceptions
import pytest

from local_aws.runtime.invocation import invoke
from tests.support.hosting import HostingAccount, error_response
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


def test_a_body_may_have_six_mebibytes_and_no_byte_more(account: HostingAccount, name: str) -> None:
    """The limit is the service model's."""
    assert len(account.invoke(name, b"echo ".ljust(LIMIT_BYTES, b"x"))) == LIMIT_BYTES

    response = error_response(lambda: account.invoke(name, b"echo ".ljust(LIMIT_BYTES + 1, b"x")))

    assert response["Error"]["Code"] == "ValidationError"
    assert "less than or equal to 6291456" in response["Error"]["Message"]


def test_an_answer_that_is_too_large_is_a_modelerror_response(account: HostingAccount, name: str) -> None:
    """It names the limit."""
    response = error_response(lambda: account.invoke(name, f"large {LIMIT_BYTES + 1}".encode()))

    assert response["OriginalMessage"] == (
        "The answer of container primary has more than 6291456 bytes, the most that are allowed"
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
    response = error_response(lambda: account.invoke(name, b"1", **request_members))

    assert response["Error"]["Code"] == "ValidationError"
    assert message in response["Error"]["Message"]


def test_an_unknown_endpoint_is_refused_in_the_words_of_aws(account: HostingAccount) -> None:
    """The account number is part of them."""
    response = error_response(lambda: account.invoke("none"))

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert response["Error"] == {
        "Code": "ValidationError",
        "Message": "Endpoint none of account 123456789012 not found.",
    }


def test_streaming_is_refused_clearly(account: HostingAccount, name: str) -> None:
    """The answer is a 4xx that says what is missing, not an empty stream."""
    response = error_response(
        lambda: account.runtime.invoke_endpoint_with_response_stream(EndpointName=name, Body=b"1")
    )

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


class _Container:
    """A container that does with each connection what a test says.

    :param behave: gets the connection when the request is there, a large body in part; it is closed after that
    """

    def __init__(self, behave: Callable[[socket.socket], None]) -> None:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._behave = behave
        self.address: tuple[str, int] = self._server.getsockname()
        self.requests: list[bytes] = []
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> _Container:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._server.accept()
                with connection, suppress(OSError):
                    self.requests.append(_read_request(connection))
                    self._behave(connection)


def _read_request(connection: socket.socket) -> bytes:
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(65_536)
    head, _, body = received.partition(b"\r\n\r\n")
    return head if body else head + connection.recv(65_536)


def _wait_for_the_end(connection: socket.socket) -> None:
    while connection.recv(65_536):
        pass


def _until_hung_up(connection: socket.socket, data: bytes, pause_seconds: float = 0.0) -> None:
    """Send the same again and again until the other side has had enough."""
    connection.settimeout(10)
    pause = threading.Event()
    while not pause.wait(pause_seconds):
        connection.sendall(data)


def test_a_container_that_takes_too_long_is_an_error_of_status_zero() -> None:
    """The words are those of AWS."""
    with _Container(_wait_for_the_end) as container:
        invocation = invoke(container.address, {"Body": b"1"}, timeout_seconds=0.2)

    assert invocation.status == 0
    assert invocation.error("e", "us-east-1", "1", "arn").message.startswith(
        'Received server error (0) from primary with message "Your invocation timed out while waiting for a response '
        "from container primary. Review the latency metrics for each container in Amazon CloudWatch"
    )


@pytest.mark.parametrize("head", [b"", b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_a_container_that_answers_byte_by_byte_has_no_more_time(head: bytes) -> None:
    """The limit is for the whole answer: a byte now and then does not put it off."""

    def drip(connection: socket.socket) -> None:
        connection.sendall(head)
        _until_hung_up(connection, b"H", 0.05)

    with _Container(drip) as container:
        invocation = invoke(container.address, {"Body": b"1"}, timeout_seconds=0.4)

    assert invocation.status == 0
    assert b"timed out" in invocation.body
    assert invocation.seconds < 5


@pytest.mark.parametrize("framing", [b"", b"Content-Length: 1000000000\r\n"])
def test_an_answer_without_end_is_not_read_beyond_the_limit(framing: bytes) -> None:
    """A container that never stops sending does not fill the memory."""

    def flood(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n")
        _until_hung_up(connection, b"x" * 1_000_000)

    with _Container(flood) as container:
        invocation = invoke(container.address, {"Body": b"1"}, timeout_seconds=20)

    assert invocation.status == 500
    assert b"has more than 6291456 bytes" in invocation.body


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", b"no HTTP at all\r\n\r\n"],
)
def test_a_container_that_breaks_down_over_a_request_gets_it_once(answer: bytes) -> None:
    """The client is told and may decide to send it again; the container may have acted on it already."""
    with _Container(lambda connection: connection.sendall(answer)) as container:
        invocation = invoke(container.address, {"Body": b"1"})

    assert invocation.status == 500
    assert b"closed the connection without an answer" in invocation.body
    assert len(container.requests) == 1


def test_a_refusal_that_comes_before_the_whole_body_was_read_is_passed_on() -> None:
    """A container may answer 413 to a body that it does not want to see."""

    def refuse(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
        connection.shutdown(socket.SHUT_WR)
        _wait_for_the_end(connection)

    with _Container(refuse) as container:
        invocation = invoke(container.address, {"Body": b"1" * 5_000_000})

    assert (invocation.status, invocation.body) == (413, b"big")
