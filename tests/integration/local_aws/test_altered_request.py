"""Requests that were valid until one or two members got other values that the service model allows.

They pass the check of shapes and reach the code behind it, unlike those of ``test_malformed_request``.
"""

from __future__ import annotations

import base64
import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.support.hosting import HostingAccount
from tests.support.process_cloud import REGISTRY, process_cloud
from tests.support.raw_request import call, post, served_operations, service_model
from tests.support.valid_request import altered, renamed, valid_requests

if TYPE_CHECKING:
    from collections.abc import Iterator

_EXAMPLES = 400
_NUMBERS = itertools.count(_EXAMPLES)
_Requests = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=5.0) as cloud:
        yield HostingAccount(cloud)


@pytest.fixture(scope="module")
def requests(account: HostingAccount) -> _Requests:
    """The valid requests, whose resources are made once."""
    return valid_requests(account)


def _send(endpoint_url: str, service: str, operation: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    if service != "sagemaker-runtime":
        return call(endpoint_url, service, operation, json.dumps(request).encode())
    return _invoke(endpoint_url, request)


def _invoke(endpoint_url: str, request: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    members = service_model("sagemaker-runtime").operation_model("InvokeEndpoint").input_shape.members
    headers = {
        members[name].serialization["name"]: quote(str(value), safe=" /,;=:*+.@")
        for name, value in request.items()
        if members[name].serialization.get("location") == "header"
    }
    path = f"/endpoints/{quote(request['EndpointName'], safe='')}/invocations"
    status, body = post(endpoint_url, path, base64.b64decode(request["Body"]), headers)
    return status, {} if status == 200 else json.loads(body)


def _passed_the_shapes(answer: dict[str, Any]) -> bool:
    message = str(answer.get("message", answer.get("Message", "")))
    return "detected: Value " not in message and answer.get("__type") != "SerializationException"


def test_every_served_operation_carries_out_a_valid_request(account: HostingAccount, requests: _Requests) -> None:
    """What is altered below is valid before, and no operation is left out."""
    url = account.cloud.endpoint_url
    answers = {key: _send(url, *key, request) for key, request in requests.items()}

    assert set(requests) - {("sagemaker-runtime", "InvokeEndpoint")} == set(served_operations(url))
    refused = {key[1]: answer for key, (status, answer) in answers.items() if status != 200}
    assert not [answer for answer in refused.values() if not _passed_the_shapes(answer)]
    # Deletions name what is not there, a job may have ended, and an endpoint takes one change at a time.
    changes = {"DeleteTrainingJob", "DeleteModel", "DeleteEndpointConfig", "DeleteEndpoint", "UpdateEndpoint"}
    stops = {"StopTrainingJob", "StopTransformJob"}
    assert set(refused) <= changes | stops | {"UpdateEndpointWeightsAndCapacities"}, refused


# The local AWS in this process draws for its routing, which Hypothesis takes for a draw of the test.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")
def test_altered_requests_are_never_answered_with_5xx(account: HostingAccount, requests: _Requests) -> None:
    """Most of them get past the shapes, so that the code behind has to say what it cannot do."""
    url = account.cloud.endpoint_url
    passed: list[bool] = []

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # a failure shows its whole request; making it smaller would take minutes
        suppress_health_check=list(HealthCheck),
    )
    @given(st.data(), st.sampled_from(sorted(requests)))
    def check(data: st.DataObject, key: tuple[str, str]) -> None:
        service, operation = key
        shape = service_model(service).operation_model(operation).input_shape
        request = data.draw(altered(shape, renamed(operation, requests[key], len(passed))))
        status, answer = _send(url, service, operation, request)
        passed.append(_passed_the_shapes(answer))
        assert status < 500, (operation, request, answer)

    check()
    assert sum(passed) > _EXAMPLES * 0.7


@pytest.mark.parametrize(
    ("key", "member", "value"),
    [
        (("sagemaker", "CreateModel"), "ExecutionRoleArn", "arn:aws:iam::123456789012:role/x/"),
        (("sagemaker", "CreateTrainingJob"), "RoleArn", "arn:aws:iam::123456789012:role/x/"),
        (("codebuild", "CreateProject"), "serviceRole", "x/"),
        (("sagemaker", "CreateModel"), "PrimaryContainer", {"Image": f"{REGISTRY}/a"}),
        (("sagemaker", "CreateModel"), "PrimaryContainer", {"ModelDataUrl": "s3://a b/model.tar.gz"}),
    ],
)
def test_a_name_that_no_service_takes_is_refused(
    account: HostingAccount, requests: _Requests, key: tuple[str, str], member: str, value: Any
) -> None:
    """A client of ours refuses it before the other service can, which is the request's fault all the same."""
    request = renamed(key[1], requests[key], next(_NUMBERS))
    request[member] = {**request[member], **value} if isinstance(value, dict) else value

    status, answer = _send(account.cloud.endpoint_url, *key, request)

    assert status == 400
    assert answer["__type"] in {"ValidationException", "InvalidInputException"}


def test_a_model_with_an_empty_container_is_refused(account: HostingAccount, requests: _Requests) -> None:
    """The model of the service asks for no member of a container."""
    request = {**requests["sagemaker", "CreateModel"], "ModelName": account.name("empty"), "PrimaryContainer": {}}

    status, answer = _send(account.cloud.endpoint_url, "sagemaker", "CreateModel", request)

    assert (status, answer["__type"]) == (400, "ValidationException")
