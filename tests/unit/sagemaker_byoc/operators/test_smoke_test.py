"""The smoke test, seen from the requests that reach the endpoint."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException

from sagemaker_byoc.errors import EndpointGoneError, EndpointSupersededError
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CSV = "length,species\n1,setosa\n2,setosa\n9,virginica\n8,virginica\n"


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """An endpoint that tells long from short."""
    with fake_aws() as aws:
        aws.on("InvokeEndpoint", endpoint(lambda length: "setosa" if length < 5 else "virginica"))
        yield aws


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """A CSV file with two records of each species."""
    path = tmp_path / "test.csv"
    path.write_text(CSV)
    return path


def endpoint(model: Callable[[float], str]) -> Callable[..., dict[str, Any]]:
    """Make a container that reads CSV with a header and answers JSON."""

    def invoke(**request: Any) -> dict[str, Any]:
        _, *lines = bytes(request["Body"]).decode().splitlines()
        return reply(json.dumps({"predictions": [{"label": model(float(line))} for line in lines]}))

    return invoke


def reply(body: str, content_type: str = "application/json") -> dict[str, Any]:
    """Make an answer of InvokeEndpoint."""
    return {
        "Body": io.BytesIO(body.encode()),
        "ContentType": content_type,
        "InvokedProductionVariant": "AllTraffic",
    }


def operator(records: Any, **changes: Any) -> InvokeSmokeTestOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "endpoint_name": "iris",
        "records": str(records) if isinstance(records, Path) else records,
        "label_column": "species",
        "aws_conn_id": None,
    }
    return InvokeSmokeTestOperator(task_id="smoke_test", **{**settings, **changes})


def test_a_good_endpoint_passes_with_a_report(aws: FakeAws, records: Path) -> None:
    """Every record is asked once, after one request to warm up."""
    report = TaskRun().of(operator(records))
    assert (report["records"], report["correct"], report["accuracy"], report["passed"]) == (4, 4, 1.0, True)
    assert (report["endpoint_name"], report["variant"]) == ("iris", "AllTraffic")
    assert report["predictions"][2] == {
        "record": 3,
        "label": "virginica",
        "prediction": "virginica",
        "correct": True,
    }
    assert set(report["latency_ms"]) == {"p50", "p95", "max"}
    assert len(aws.asked("InvokeEndpoint")) == 5


def test_labels_are_not_sent(aws: FakeAws, records: Path) -> None:
    """An endpoint that is told the answer proves nothing."""
    TaskRun().of(operator(records))
    for request in aws.asked("InvokeEndpoint"):
        assert b"setosa" not in request["Body"]
        assert b"species" not in request["Body"]


def test_a_bad_endpoint_fails_the_task_with_its_wrong_answers(aws: FakeAws, records: Path) -> None:
    """The task is not retried; message and XCom hold what was wrong."""
    aws.on("InvokeEndpoint", endpoint(lambda _: "virginica"))
    run = TaskRun()
    with pytest.raises(AirflowFailException) as caught:
        run.of(operator(records))
    text = str(caught.value)
    assert "accuracy 0.500 (2 of 4 right) is below minimum_accuracy 0.9" in text
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "setosa", "virginica", "NO"] in rows
    assert ["3", "virginica", "virginica", "yes"] not in rows
    assert run.xcoms["return_value"]["correct"] == 2
    assert run.xcoms["return_value"]["passed"] is False


def test_the_table_is_in_the_log(aws: FakeAws, records: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A reader of the log sees each record with label and prediction."""
    TaskRun().of(operator(records))
    assert "record  label      prediction  correct?\n1       setosa     setosa      yes" in capsys.readouterr().out


def test_a_slow_endpoint_fails_the_task(aws: FakeAws, records: Path) -> None:
    """No request over a wire takes less than a microsecond."""
    with pytest.raises(AirflowFailException, match=r"p95 latency .* is above maximum_latency_ms 0.001"):
        TaskRun().of(operator(records, maximum_latency_ms="0.001"))


def test_limits_may_come_from_a_form(aws: FakeAws, records: Path) -> None:
    """Templates render to text."""
    aws.on("InvokeEndpoint", endpoint(lambda _: "virginica"))
    report = TaskRun().of(operator(records, minimum_accuracy="0.5", maximum_latency_ms="None", minimum_records="4"))
    assert report["minimum_accuracy"] == 0.5


def test_several_records_may_go_in_one_request(aws: FakeAws, records: Path) -> None:
    """A batch costs one request and its answers are put beside the right labels."""
    report = TaskRun().of(operator(records, batch_size=3, warm_up_requests=0))
    assert [request["Body"] for request in aws.asked("InvokeEndpoint")] == [b"length\n1\n2\n9\n", b"length\n8\n"]
    assert report["correct"] == 4


def test_inline_records_and_json_are_understood(aws: FakeAws) -> None:
    """A few records need no file, and their text after templating neither."""
    aws.on("InvokeEndpoint", reply("[7.2]"))
    rows = [{"length": 1, "target": 7.0}]
    for records in (rows, json.dumps(rows)):
        aws.on("InvokeEndpoint", lambda **_: reply("[7.2]"))
        settings = {"label_column": "target", "content_type": "application/json", "tolerance": 0.5}
        assert TaskRun().of(operator(records, **settings))["correct"] == 1
    assert json.loads(aws.asked("InvokeEndpoint")[-1]["Body"]) == {"instances": [{"length": 1}]}


def test_records_may_lie_in_s3(aws: FakeAws) -> None:
    """An s3:// URI is read with the same connection."""
    aws.on("GetObject", lambda **_: {"Body": io.BytesIO(CSV.encode())})
    assert TaskRun().of(operator("s3://bucket/a/test.csv"))["records"] == 4
    assert aws.asked("GetObject") == [{"Bucket": "bucket", "Key": "a/test.csv"}]


def test_every_member_of_the_request_can_be_set(aws: FakeAws, records: Path) -> None:
    """Variant, custom attributes and the rest reach AWS."""
    TaskRun().of(operator(records, target_variant="B", invoke_config={"CustomAttributes": "trace"}))
    request = aws.asked("InvokeEndpoint")[0]
    assert (request["TargetVariant"], request["CustomAttributes"]) == ("B", "trace")


def test_the_requested_configuration_is_tested(aws: FakeAws, records: Path) -> None:
    """It is looked at before the first request and after the last one."""
    FakeEndpoint(aws).exists("InService", "new")
    assert TaskRun().of(operator(records, endpoint_config_name="new"))["passed"] is True
    names = [name for name, _ in aws.calls]
    assert names == ["DescribeEndpoint", *["InvokeEndpoint"] * 5, "DescribeEndpoint"]


def test_without_a_configuration_the_endpoint_is_not_looked_at(aws: FakeAws, records: Path) -> None:
    """A role that may only invoke is enough then."""
    TaskRun().of(operator(records))
    assert aws.asked("DescribeEndpoint") == []


@pytest.mark.parametrize("model", ["setosa", "virginica"])
@pytest.mark.parametrize(
    "states",
    [[("InService", "other")], [("InService", "new"), ("InService", "other")]],
    ids=["before", "during"],
)
def test_another_runs_model_is_not_judged(
    aws: FakeAws, records: Path, states: list[tuple[str, str]], model: str
) -> None:
    """Neither a pass nor a failure of it is this run's."""
    aws.on("InvokeEndpoint", endpoint(lambda _: model))
    FakeEndpoint(aws).goes_through(*states)
    run = TaskRun()
    with pytest.raises(AirflowFailException, match="instead of new: another deployment") as caught:
        run.of(operator(records, endpoint_config_name="new", minimum_accuracy=0))
    assert isinstance(caught.value.__cause__, EndpointSupersededError)
    assert "return_value" not in run.xcoms


@pytest.mark.parametrize("states", [[None], [("Deleting", "new")], [("InService", "new"), None]])
def test_a_deleted_endpoint_is_told_as_that(aws: FakeAws, records: Path, states: list[tuple[str, str] | None]) -> None:
    """Before the test or during it; nothing about the model follows from that."""
    FakeEndpoint(aws).goes_through(*states)
    with pytest.raises(AirflowFailException, match="somebody deleted it") as caught:
        TaskRun().of(operator(records, endpoint_config_name="new"))
    assert isinstance(caught.value.__cause__, EndpointGoneError)


def test_an_update_that_has_begun_spoils_the_test(aws: FakeAws, records: Path) -> None:
    """While traffic shifts, the answers may be the next model's although the endpoint still names this one."""
    FakeEndpoint(aws).exists("Updating", "new", pending="other")
    with pytest.raises(AirflowFailException, match="has, or is being given, other instead of new"):
        TaskRun().of(operator(records, endpoint_config_name="new"))
    assert aws.asked("InvokeEndpoint") == []


def test_a_refusal_by_another_model_is_told_as_that(aws: FakeAws, records: Path) -> None:
    """The container that refused is not the one that was to be tested."""
    aws.on("InvokeEndpoint", AwsSays("ModelError", "Received client error", 424, OriginalStatusCode=400))
    FakeEndpoint(aws).goes_through(("InService", "new"), ("InService", "other"))
    with pytest.raises(AirflowFailException, match="another deployment"):
        TaskRun().of(operator(records, endpoint_config_name="new"))


REFUSED: list[tuple[Any, dict[str, Any], str]] = [
    ("1,2\n3,4\n", {}, "line 1, column 1"),
    ("length,species\n1\n", {}, "line 2: 1 values"),
    ("length,species\n1,setosa\n", {"label_column": "kind"}, "label_column: got 'kind'"),
    ("length,species\n", {}, "0 records"),
    ("length,species\n1,setosa\n", {"minimum_records": 5}, "minimum_records=5"),
    (CSV, {"minimum_accuracy": "90"}, "minimum_accuracy: got 90"),
    (CSV, {"minimum_accuracy": "high"}, "minimum_accuracy: got 'high'"),
    (CSV, {"minimum_records": "nan"}, "minimum_records: got 'nan'"),
    (CSV, {"minimum_records": "inf"}, "minimum_records: got 'inf'"),
    (CSV, {"tolerance": "-1"}, "tolerance: got -1"),
    (CSV, {"tolerance": "nan"}, "tolerance: got 'nan'"),
    (CSV, {"endpoint_name": ""}, "endpoint_name: got ''"),
    (CSV, {"endpoint_name": None}, "endpoint_name: got None"),
    (CSV, {"endpoint_config_name": ""}, "endpoint_config_name: got ''"),
    (CSV, {"content_type": "image/png"}, "content_type: got 'image/png'"),
    (CSV, {"batch_size": 0}, "batch_size"),
    (CSV, {"endpoint_name": "no_underscores"}, "EndpointName: got 'no_underscores'"),
    (CSV, {"invoke_config": {"Target": "x"}}, "invoke_config.Target"),
]


@pytest.mark.parametrize(("content", "changes", "message"), REFUSED)
def test_bad_input_is_refused_before_any_call(
    aws: FakeAws, tmp_path: Path, content: str, changes: dict[str, Any], message: str
) -> None:
    """The endpoint sees nothing of it."""
    (tmp_path / "test.csv").write_text(content)
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=message):
        run.of(operator(tmp_path / "test.csv", **changes))
    assert aws.calls == []
    assert run.xcoms == {}


@pytest.mark.parametrize(
    ("records", "message"),
    [("/no/such/file", "cannot be read"), ("s3://bucket", "s3://<bucket>/<key>"), ("", "records"), ("[1", "JSON")],
)
def test_records_that_are_not_there_are_named(aws: FakeAws, records: str, message: str) -> None:
    """The message says what may be given."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(records))


def test_an_object_that_is_not_there_is_named(aws: FakeAws) -> None:
    """S3's refusal is put into the user's words."""
    aws.on("GetObject", AwsSays("NoSuchKey", "The specified key does not exist.", 404))
    with pytest.raises(AirflowFailException, match="records: got 's3://bucket/none'"):
        TaskRun().of(operator("s3://bucket/none"))


def test_an_unknown_endpoint_is_named(aws: FakeAws, records: Path) -> None:
    """AWS's refusal is put into the user's words."""
    aws.on("InvokeEndpoint", AwsSays("ValidationError", "Endpoint iris of account 123456789012 not found."))
    with pytest.raises(AirflowFailException, match=r"endpoint_name: got 'iris'.*not found"):
        TaskRun().of(operator(records))


@pytest.mark.parametrize("status", [400, 500])
def test_what_the_container_says_is_shown(aws: FakeAws, records: Path, status: int) -> None:
    """Its own words and its log, not AWS's wrapping."""
    log = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/iris"
    fields = {"OriginalStatusCode": status, "OriginalMessage": "column 'width' is missing", "LogStreamArn": log}
    aws.on("InvokeEndpoint", AwsSays("ModelError", "Received client error", 424, **fields))
    with pytest.raises(AirflowFailException, match=f"status {status}: column 'width' is missing\nLog: {log}"):
        TaskRun().of(operator(records))


@pytest.mark.parametrize("body", ["[]", '["a", "b"]'])
def test_answers_that_do_not_match_the_records_fail_the_task(aws: FakeAws, records: Path, body: str) -> None:
    """Two answers to one record cannot be told apart."""
    aws.on("InvokeEndpoint", lambda **_: reply(body))
    with pytest.raises(AirflowFailException, match="predictions to 1 records"):
        TaskRun().of(operator(records))


def test_a_busy_moment_is_left_to_the_retry(aws: FakeAws, records: Path) -> None:
    """ServiceUnavailable is no verdict on the model."""
    aws.on("InvokeEndpoint", AwsSays("ServiceUnavailable", "try again", 503))
    with pytest.raises(Exception, match="ServiceUnavailable") as caught:
        TaskRun().of(operator(records))
    assert not isinstance(caught.value, AirflowFailException)
