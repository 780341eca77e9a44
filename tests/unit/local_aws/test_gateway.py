"""Routing and error handling of the front door, without any socket."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from werkzeug.test import Client

from local_aws import reach
from local_aws.errors import AwsError
from local_aws.gateway import Gateway
from local_aws.server import HttpServer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from local_aws.service import Operation

_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{}/aws4_request, SignedHeaders=host, Signature=0"


class _Service:
    """A service with the operations that a test gives it."""

    def __init__(self, service_name: str, **operations: Operation) -> None:
        self.service_name = service_name
        self.operations = operations

    def start(self) -> None:
        """Nothing is left."""

    def close(self) -> None:
        """Nothing runs."""


def _fallback(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"from moto"]


def _client(*services: _Service) -> Client:
    gateway = Gateway(_fallback, {"engine": "fake"})
    for service in services:
        gateway.register(service)
    return Client(gateway)


def _call(client: Client, target: str, body: Any) -> Any:
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1"}
    return client.post("/", headers=headers, data=json.dumps(body))


def _json(answer: Any) -> Any:
    return json.loads(answer.data)


def test_a_json_operation_gets_the_request_and_its_answer_is_encoded() -> None:
    """The operation sees a checked dictionary; members that AWS does not know stay inside."""
    seen: list[dict[str, Any]] = []

    def describe(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"TrainingJobName": "a", "Secret": 1, "FailureReason": None}

    answer = _call(
        _client(_Service("sagemaker", DescribeTrainingJob=describe)),
        "SageMaker.DescribeTrainingJob",
        {"TrainingJobName": "a", "Unknown": 1},
    )

    assert seen == [{"TrainingJobName": "a"}]
    assert (answer.status_code, _json(answer)) == (200, {"TrainingJobName": "a"})
    assert answer.headers["Content-Type"] == "application/x-amz-json-1.1"
    assert answer.headers["x-amzn-RequestId"]


def test_an_error_of_an_operation_has_its_code_status_and_fields() -> None:
    """Clients find code and message where AWS puts them."""

    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise AwsError("ResourceInUse", "taken", 400, Extra="x")

    answer = _call(
        _client(_Service("sagemaker", StopTrainingJob=refuse)), "SageMaker.StopTrainingJob", {"TrainingJobName": "a"}
    )

    assert answer.status_code == 400
    assert answer.headers["x-amzn-ErrorType"] == "ResourceInUse"
    assert (_json(answer)["__type"], _json(answer)["message"], _json(answer)["Extra"]) == (
        "ResourceInUse",
        "taken",
        "x",
    )


def test_a_defect_of_ours_is_an_internal_failure_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """The client gets JSON, the log gets the traceback."""

    def fail(_: dict[str, Any]) -> dict[str, Any]:
        message = "our defect"
        raise RuntimeError(message)

    with caplog.at_level(logging.ERROR):
        answer = _call(
            _client(_Service("sagemaker", StopTrainingJob=fail)), "SageMaker.StopTrainingJob", {"TrainingJobName": "a"}
        )

    assert (answer.status_code, _json(answer)["__type"]) == (500, "InternalFailure")
    assert "our defect" in caplog.text
    assert "SageMaker.StopTrainingJob" in caplog.text


@pytest.mark.parametrize("action", ["ListHubs", "NoSuchThing"])
def test_an_operation_that_is_not_there_is_unknown(action: str) -> None:
    """Whether AWS has it or not, the answer is a 400 that names it."""
    answer = _call(_client(_Service("sagemaker")), f"SageMaker.{action}", {})

    assert (answer.status_code, _json(answer)["__type"]) == (400, "UnknownOperationException")
    assert action in _json(answer)["message"]


def test_a_rest_operation_gets_path_headers_and_body() -> None:
    """InvokeEndpoint's members come from all three, and its answer goes into headers and body."""
    seen: list[dict[str, Any]] = []

    def invoke(request: dict[str, Any]) -> dict[str, Any]:
        seen.append(request)
        return {"Body": b"\xff1", "ContentType": "text/csv", "InvokedProductionVariant": "AllTraffic"}

    answer = _client(_Service("sagemaker-runtime", InvokeEndpoint=invoke)).post(
        "/endpoints/my-endpoint/invocations",
        headers={"Content-Type": "text/csv", "X-Amzn-SageMaker-Target-Variant": "B"},
        data=b"\x00\xfe",
    )

    assert seen == [
        {"EndpointName": "my-endpoint", "Body": b"\x00\xfe", "ContentType": "text/csv", "TargetVariant": "B"}
    ]
    assert (answer.status_code, answer.data) == (200, b"\xff1")
    assert answer.headers["Content-Type"] == "text/csv"
    assert answer.headers["x-Amzn-Invoked-Production-Variant"] == "AllTraffic"


def test_a_rest_error_has_the_fields_of_its_shape() -> None:
    """ModelError carries what the container answered."""

    def refuse(_: dict[str, Any]) -> dict[str, Any]:
        raise AwsError("ModelError", "broken", 424, OriginalStatusCode=500, OriginalMessage="boom")

    answer = _client(_Service("sagemaker-runtime", InvokeEndpoint=refuse)).post(
        "/endpoints/e/invocations", headers={"Authorization": _SIGNED.format("sagemaker")}, data=b"1"
    )

    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (424, "ModelError")
    assert _json(answer) == {"Message": "broken", "OriginalStatusCode": 500, "OriginalMessage": "boom"}


def test_a_name_in_the_path_is_checked() -> None:
    """The runtime refuses with its own code."""
    service = _Service("sagemaker-runtime", InvokeEndpoint=lambda _: {})
    answer = _client(service).post(f"/endpoints/{'x' * 64}/invocations", data=b"1")

    assert (answer.status_code, answer.headers["x-amzn-ErrorType"]) == (400, "ValidationError")


def test_a_bucket_called_endpoints_is_still_s3() -> None:
    """A path that looks like an invocation but is signed for S3 goes to S3."""
    service = _Service("sagemaker-runtime", InvokeEndpoint=lambda _: {})
    answer = _client(service).post(
        "/endpoints/e/invocations", headers={"Authorization": _SIGNED.format("s3")}, data=b"1"
    )

    assert answer.data == b"from moto"


def test_what_no_service_claims_goes_to_moto() -> None:
    """Other services' targets and signatures fall through."""
    client = _client(_Service("sagemaker"))

    assert _call(client, "AmazonEC2ContainerRegistry_V20150921.DescribeRepositories", {}).data == b"from moto"
    assert client.get("/bucket/key", headers={"Authorization": _SIGNED.format("s3")}).data == b"from moto"


def test_cbor_to_our_services_is_refused_clearly() -> None:
    """A client that speaks smithy-rpc-v2-cbor to CodeBuild learns what to speak."""
    answer = _client(_Service("codebuild")).post(
        "/service/CodeBuild_20161006/operation/ListProjects", headers={"smithy-protocol": "rpc-v2-cbor"}
    )

    assert answer.status_code == 415
    assert "AWS JSON 1.1" in _json(answer)["message"]


def test_a_body_beyond_any_request_is_refused_unread() -> None:
    """The size that the client announces is enough to refuse it."""
    answer = _client(_Service("sagemaker", ListModels=lambda _: {})).post(
        "/", headers={"X-Amz-Target": "SageMaker.ListModels"}, environ_overrides={"CONTENT_LENGTH": str(10**9)}
    )

    assert answer.status_code == 413


def test_a_server_refuses_addresses_that_others_can_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    """The local AWS checks no credentials."""
    monkeypatch.setattr(reach, "_CONTAINER_MARKS", ())
    for host in ("0.0.0.0", "192.168.1.1", "::"):  # noqa: S104 - that it is refused is the point
        with pytest.raises(ValueError, match="may be reached from other machines"):
            HttpServer(host=host)
