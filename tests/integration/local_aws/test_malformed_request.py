"""Malformed requests over raw HTTP: AWS's 4xx, never a 5xx, for every operation, served or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from local_aws.codebuild.docker_tool import stand_in
from local_aws.codebuild.service import CodeBuildService
from local_aws.image_store import ImageStore
from tests.support.local_cloud import LocalCloud, local_cloud
from tests.support.raw_request import TARGET_PREFIXES, call, post, served_operations, service_model

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.cloud import Cloud
    from local_aws.service import Service

_SERVED_EXAMPLES, _UNSERVED_EXAMPLES = 200, 60
_TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)
_NUMBER = st.integers(-(2**70), 2**70) | st.floats(allow_nan=False)
_JUNK = st.recursive(
    st.none() | st.booleans() | _NUMBER | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalCloud]:
    """One local AWS for the tests of this module."""

    def codebuild(cloud: Cloud) -> list[Service]:
        images = ImageStore(cloud.state_dir / "images", cloud.state_dir / "cache")
        return [CodeBuildService(cloud, stand_in(images))]

    with local_cloud(tmp_path_factory.mktemp("cloud"), services=codebuild) as running:
        yield running


def _document(shape: Any, depth: int = 0) -> st.SearchStrategy[Any]:
    """Return JSON values that look like a shape, with junk in some places and members missing."""
    if depth > 4:
        return _JUNK
    kind = shape.type_name
    if kind == "structure":
        members = {
            name: st.one_of(_document(member, depth + 1), _JUNK) if depth else _document(member, depth + 1)
            for name, member in list(shape.members.items())[:12]
        }
        needed = {name: strategy for name, strategy in members.items() if name in shape.required_members}
        other = {name: strategy for name, strategy in members.items() if name not in needed}
        return st.fixed_dictionaries(needed, optional=other) | st.fixed_dictionaries({}, optional=members)
    if kind == "list":
        return st.lists(_document(shape.member, depth + 1), max_size=3)
    if kind == "map":
        return st.dictionaries(_TEXT, _document(shape.value, depth + 1), max_size=3)
    if kind == "string":
        return st.sampled_from(shape.enum) | _TEXT if shape.enum else _TEXT | st.just("x" * 5000)
    return st.booleans() | _NUMBER


@st.composite
def _requests(draw: st.DrawFn, operations: tuple[tuple[str, str], ...]) -> tuple[str, str, bytes]:
    service, operation = draw(st.sampled_from(operations))
    shape = service_model(service).operation_model(operation).input_shape
    document = _JUNK if shape is None else st.one_of(_document(shape), _document(shape), _JUNK)
    text = json.dumps(draw(document)).encode()
    cut = draw(st.integers(0, 9))
    return service, operation, text if cut else text[: len(text) // 2] + draw(st.binary(max_size=3))


def test_served_operations_answer_malformed_requests_with_4xx(cloud: LocalCloud) -> None:
    """Several hundred requests made from the service models' shapes never cause a 5xx."""
    served = tuple(served_operations(cloud.endpoint_url))
    assert {("sagemaker", "CreateTrainingJob"), ("codebuild", "StartBuild")} <= set(served)
    seen: dict[int, int] = {}

    @settings(
        max_examples=_SERVED_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(_requests(served))
    def check(request: tuple[str, str, bytes]) -> None:
        status, answer = call(cloud.endpoint_url, *request)
        seen[status] = seen.get(status, 0) + 1
        assert status < 500, (request, answer)
        if status != 200:
            assert status == 400
            assert answer["__type"]
            assert answer["message"]

    check()
    assert seen[400] > _SERVED_EXAMPLES // 2


def test_operations_that_are_not_served_say_so(cloud: LocalCloud) -> None:
    """Whatever the body, an operation of AWS that is missing here is a clear 4xx."""
    served = set(served_operations(cloud.endpoint_url))
    missing = tuple(
        (s, name) for s in TARGET_PREFIXES for name in service_model(s).operation_names if (s, name) not in served
    )

    @settings(
        max_examples=_UNSERVED_EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(missing), st.binary(max_size=40))
    def check(operation: tuple[str, str], body: bytes) -> None:
        status, answer = call(cloud.endpoint_url, *operation, body)
        assert (status, answer["__type"]) == (400, "UnknownOperationException")
        assert operation[1] in answer["message"]

    check()


@pytest.mark.parametrize("name", ["", "Nothing", "CreateTrainingJob ", "../x", "a.b", "é"])
def test_an_action_that_does_not_exist_is_unknown(cloud: LocalCloud, name: str) -> None:
    """Any other word after the dot is an unknown operation."""
    headers = {"X-Amz-Target": f"SageMaker.{name}".encode().decode("latin-1"), "Content-Type": "application/json"}
    status, body = post(cloud.endpoint_url, "/", b"{}", headers)

    assert 400 <= status < 500
    assert json.loads(body)["__type"] == "UnknownOperationException"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "SerializationException"),
        (b"\xff\xfe", "SerializationException"),
        (b"[]", "SerializationException"),
        (b'"text"', "SerializationException"),
        (b"1", "SerializationException"),
        (b'{"TrainingJobName": NaN}', "SerializationException"),
        (b'{"TrainingJobName": 1}', "SerializationException"),
        (b'{"TrainingJobName": "\\ud800"}', "SerializationException"),
        (b"[" * 100_000, "SerializationException"),
        (b'{"TrainingJobName": ' + b"9" * 5000 + b"}", "SerializationException"),
        (b"", "ValidationException"),
        (b"{}", "ValidationException"),
        (b'{"TrainingJobName": null}', "ValidationException"),
        (b'{"TrainingJobName": "-"}', "ValidationException"),
        (b'{"TrainingJobName": "a\\n"}', "ValidationException"),
    ],
)
def test_a_body_that_is_no_request_is_refused(cloud: LocalCloud, body: bytes, code: str) -> None:
    """What is not JSON, or not of the shape, is told apart from what breaks a constraint."""
    status, answer = call(cloud.endpoint_url, "sagemaker", "DescribeTrainingJob", body)

    assert (status, answer["__type"]) == (400, code)


def test_a_hostile_name_does_not_stall_the_check(cloud: LocalCloud) -> None:
    """A name made to make the pattern backtrack is refused at once."""
    body = json.dumps({"TrainingJobName": "a-" * 30_000}).encode()

    status, _ = call(cloud.endpoint_url, "sagemaker", "DescribeTrainingJob", body)

    assert status == 400


def test_sagemaker_never_reaches_moto(cloud: LocalCloud) -> None:
    """Paths signed for SageMaker that no service of ours has are refused, not answered by moto's SageMaker."""
    scope = (
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/sagemaker/aws4_request, SignedHeaders=host, Signature=0"
    )

    for path in ("/BatchPutMetrics", "/endpoints/x/other", "/"):
        status, body = post(
            cloud.endpoint_url, path, b"{}", {"Authorization": scope, "Content-Type": "application/json"}
        )
        assert status == 404
        assert json.loads(body)["__type"] == "UnknownOperationException"
