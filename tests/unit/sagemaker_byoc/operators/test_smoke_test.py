"""The smoke test, seen from the requests that reach the endpoint."""

from __future__ import annotations

import io
import json
import sys
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError, ReadTimeoutError

from sagemaker_byoc.errors import CheckerError, EndpointGoneError, EndpointSupersededError, SmokeTestError
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
        aws.on("ListEndpointConfigs", {"EndpointConfigs": []})
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


def reply(body: str, content_type: str = "application/json", variant: str = "AllTraffic") -> dict[str, Any]:
    """Make an answer of InvokeEndpoint."""
    return {
        "Body": io.BytesIO(body.encode()),
        "ContentType": content_type,
        "InvokedProductionVariant": variant,
    }


def by_variant(**variants: Callable[..., dict[str, Any]] | AwsSays) -> Callable[..., dict[str, Any]]:
    """Make an endpoint whose variants answer differently."""

    def invoke(**request: Any) -> dict[str, Any]:
        name = request["TargetVariant"]
        answer = variants[name]
        if isinstance(answer, AwsSays):
            raise answer
        return {**answer(**request), "InvokedProductionVariant": name}

    return invoke


def describes(*names: str) -> Callable[..., dict[str, Any]]:
    """Make an endpoint in service with these variants."""

    def describe(**request: Any) -> dict[str, Any]:
        return {
            "EndpointName": request["EndpointName"],
            "EndpointArn": "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/iris",
            "EndpointConfigName": "new",
            "ProductionVariants": [{"VariantName": name} for name in names],
            "EndpointStatus": "InService",
            "CreationTime": datetime(2026, 1, 1, tzinfo=timezone.utc),
            "LastModifiedTime": datetime(2026, 1, 1, tzinfo=timezone.utc),
        }

    return describe


GOOD = endpoint(lambda length: "setosa" if length < 5 else "virginica")
BAD = endpoint(lambda _: "virginica")


class Bucket:
    """What was written to S3."""

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        aws.on("PutObject", {})

    @property
    def report(self) -> dict[str, Any]:
        """The one object that was written, as data."""
        [request] = self.aws.asked("PutObject")
        found: dict[str, Any] = json.loads(request["Body"])
        return found


def far_apart(features: dict[str, Any], label: str, prediction: Any) -> bool | str:
    """Judge by the length instead of the label; the tests name it by its import path."""
    return float(features["length"]) < 8.5 or f"{prediction} at {features['length']}"


def forgetful(features: dict[str, Any], label: str, prediction: Any) -> bool:
    """Fail at the third record."""
    return bool({"1": True, "2": True}[features["length"]])


@pytest.fixture
def judges(monkeypatch: pytest.MonkeyPatch) -> str:
    """The import path of this module, with a colon behind it."""
    monkeypatch.setitem(sys.modules, "judges", sys.modules[__name__])
    return "judges:"


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
    assert set(report["latency_ms"]) == {"p50", "p95", "p99", "max"}
    assert len(aws.asked("InvokeEndpoint")) == 5


def test_a_check_asks_nothing(aws: FakeAws, records: Path) -> None:
    """It reads what there is to be asked, before there is an endpoint."""
    assert TaskRun().of(operator(str(records), only_check=True)) == {"records": 4}
    assert not aws.calls


@pytest.mark.parametrize(
    "fault", [{"records": "/nowhere.csv"}, {"minimum_accuracy": 90}, {"checker": "nowhere.judge"}, {"repeats": 0}]
)
def test_a_check_finds_what_the_test_would_stumble_over(aws: FakeAws, records: Path, fault: dict[str, Any]) -> None:
    """For good, since another try would read the same."""
    with pytest.raises(AirflowFailException):
        TaskRun().of(operator(**{"records": str(records), "only_check": True, **fault}))
    assert not aws.calls


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


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.json", '[{"length": 1, "species": "setosa"}, {"length": 9, "species": "virginica"}]'),
        ("rows.jsonl", '{"length": 1, "species": "setosa"}\n{"length": 9, "species": "virginica"}\n'),
        ("rows", '{"length": 1, "species": "setosa"}\n{"length": 9, "species": "virginica"}\n'),
        ("rows", "length,species\n1,setosa\n9,virginica\n"),
    ],
)
@pytest.mark.parametrize("place", ["worker", "s3", "inline"])
def test_every_format_may_lie_everywhere(aws: FakeAws, tmp_path: Path, name: str, content: str, place: str) -> None:
    """The container sees the same request in each case."""
    (tmp_path / name).write_text(content)
    aws.on("GetObject", lambda **_: {"Body": io.BytesIO(content.encode())})
    records = {"worker": str(tmp_path / name), "s3": f"s3://bucket/{name}", "inline": content}[place]
    report = TaskRun().of(operator(records))
    assert (report["records"], report["correct"]) == (2, 2)
    assert [request["Body"] for request in aws.asked("InvokeEndpoint")][1:] == [b"length\n1\n", b"length\n9\n"]


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
    names = [name for name, _ in aws.calls if name != "ListEndpointConfigs"]
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


def test_each_variant_is_asked_and_has_to_pass(aws: FakeAws, records: Path) -> None:
    """The names are those of the live endpoint; the message names the one that failed, and the report has both."""
    aws.on("DescribeEndpoint", describes("current", "next"))
    aws.on("InvokeEndpoint", by_variant(current=GOOD, next=BAD))
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=r"in the variants next: variant next: accuracy 0\.500") as caught:
        run.of(operator(records, each_variant="True"))
    assert [request["TargetVariant"] for request in aws.asked("InvokeEndpoint")] == ["current"] * 5 + ["next"] * 5
    rows = [line.split() for line in str(caught.value).splitlines()]
    assert ["next", "1", "setosa", "virginica", "NO"] in rows
    assert not [row for row in rows if row[0] == "current"]
    found = [(each["variant"], each["passed"]) for each in run.xcoms["return_value"]["variants"]]
    assert found == [("current", True), ("next", False)]


def test_chosen_variants_are_asked(aws: FakeAws, records: Path) -> None:
    """The endpoint need not be looked at for it, and the others are left alone."""
    aws.on("InvokeEndpoint", by_variant(A=GOOD, B=GOOD))
    report = TaskRun().of(operator(records, target_variants=["A", "B"]))
    assert [each["variant"] for each in report["variants"]] == ["A", "B"]
    assert (report["records"], report["passed"]) == (8, True)
    assert {name for name, _ in aws.calls} == {"InvokeEndpoint", "ListEndpointConfigs"}


def test_a_variant_that_fails_does_not_hide_the_next(aws: FakeAws, records: Path) -> None:
    """A container that answers 500 ends the questions to its own variant only."""
    aws.on("InvokeEndpoint", by_variant(A=SILENT_500, B=GOOD, C=BAD))
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=r"in the variants A, C:\nvariant A: record 1: .*500") as caught:
        run.of(operator(records, target_variants=["A", "B", "C"]))
    assert "variant C: accuracy" in str(caught.value)
    assert [each["passed"] for each in run.xcoms["return_value"]["variants"]] == [False, True, False]


def test_an_endpoint_that_is_gone_has_no_variants(aws: FakeAws, records: Path) -> None:
    """Asking none would pass."""
    FakeEndpoint(aws).goes_through(None)
    with pytest.raises(AirflowFailException, match=r"endpoint_name: got 'iris'.*with variants"):
        TaskRun().of(operator(records, each_variant=True))


def test_repeats_show_answers_that_change(aws: FakeAws, records: Path) -> None:
    """A record that is right once and wrong once is wrong, unstable, and shown with both answers."""
    answers = iter(["setosa", "setosa", "setosa", *["virginica"] * 2, "setosa", *["virginica"] * 3])
    aws.on("InvokeEndpoint", lambda **_: reply(json.dumps([next(answers)])))
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=r"3 of 4 right, 1 not the same in every repeat") as caught:
        run.of(operator(records, repeats="2"))
    assert "setosa (1x), virginica (1x)" in str(caught.value)
    report = run.xcoms["return_value"]
    assert (report["repeats"], report["records"], report["variants"][0]["unstable"]) == (2, 4, 1)
    assert report["predictions"][1]["every"] == ["setosa", "virginica"]
    assert [entry["stable"] for entry in report["predictions"]] == [True, False, True, True]


def test_every_repeat_is_measured(aws: FakeAws, records: Path) -> None:
    """All of them are requests of their own, after one to warm up."""
    assert TaskRun().of(operator(records, repeats=3, batch_size=2))["passed"]
    assert len(aws.asked("InvokeEndpoint")) == 1 + 3 * 2


def test_a_checker_judges_in_place_of_the_labels(aws: FakeAws, records: Path, judges: str) -> None:
    """Its reason is in the table and in the report."""
    aws.on("InvokeEndpoint", BAD)
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=r"3 of 4 right") as caught:
        run.of(operator(records, checker=f"{judges}far_apart"))
    assert ["3", "virginica", "virginica", "NO", "virginica", "at", "9"] in [
        line.split() for line in str(caught.value).splitlines()
    ]
    assert run.xcoms["return_value"]["predictions"][2]["why"] == "virginica at 9"


def test_a_checker_that_fails_says_nothing_about_the_endpoint(aws: FakeAws, records: Path, judges: str) -> None:
    """It is an error of its own kind, which names the record."""
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=r"checker failed at record 3 .*KeyError: '9'") as caught:
        run.of(operator(records, checker=f"{judges}forgetful"))
    assert isinstance(caught.value.__cause__, CheckerError)
    assert "return_value" not in run.xcoms


@pytest.mark.parametrize("limit", ["maximum_p50_latency_ms", "maximum_latency_ms", "maximum_p99_latency_ms"])
def test_each_latency_has_a_limit(aws: FakeAws, records: Path, limit: str) -> None:
    """No request over a wire takes less than a microsecond."""
    with pytest.raises(AirflowFailException, match=f"is above {limit} 0.001"):
        TaskRun().of(operator(records, **{limit: "0.001"}))


def test_the_whole_report_is_kept_in_s3(aws: FakeAws, records: Path) -> None:
    """It is not cut to what the XCom holds, and says which configuration it is about."""
    bucket = Bucket(aws)
    FakeEndpoint(aws).exists("InService", "new")
    uri = "s3://models/iris-1/output/smoke-test.json"
    data = TaskRun().of(operator(records, report_uri=uri, endpoint_config_name="new", maximum_rows_in_table=1))
    [request] = aws.asked("PutObject")
    place = (request["Bucket"], request["Key"], request["ContentType"])
    assert place == ("models", "iris-1/output/smoke-test.json", "application/json")
    assert len(bucket.report["predictions"]) == 4
    assert bucket.report == {**data, "predictions": bucket.report["predictions"], "endpoint_config_name": "new"}


def test_a_report_of_a_failure_is_kept_too(aws: FakeAws, records: Path) -> None:
    """It is then what one looks at."""
    bucket = Bucket(aws)
    aws.on("InvokeEndpoint", BAD)
    with pytest.raises(AirflowFailException, match="2 of 4 right"):
        TaskRun().of(operator(records, report_uri="s3://models/smoke-test.json"))
    assert (bucket.report["correct"], bucket.report["passed"]) == (2, False)


@pytest.mark.parametrize("code", ["AccessDenied", "InternalError"])
def test_the_verdict_is_not_lost_with_its_report(
    aws: FakeAws, records: Path, code: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A test that failed has failed, wherever its report went."""
    aws.on("InvokeEndpoint", BAD)
    aws.on("PutObject", AwsSays(code, "no", 403))
    run = TaskRun()
    with pytest.raises(AirflowFailException, match="2 of 4 right") as caught:
        run.of(operator(records, report_uri="s3://models/smoke-test.json"))
    assert isinstance(caught.value.__cause__, SmokeTestError)
    assert run.xcoms["return_value"]["passed"] is False
    assert "could not be written to s3://models/smoke-test.json" in capsys.readouterr().out


@pytest.mark.parametrize("code", ["AccessDenied", "NoSuchBucket"])
def test_a_pass_without_its_report_is_an_error(aws: FakeAws, records: Path, code: str) -> None:
    """Who asked for a report relies on it; the message says what is needed."""
    aws.on("PutObject", AwsSays(code, "no", 403))
    with pytest.raises(AirflowFailException, match=r"report_uri: got 's3://models/smoke-test.json'.*s3:PutObject"):
        TaskRun().of(operator(records, report_uri="s3://models/smoke-test.json"))


def test_a_busy_s3_is_left_to_the_retry(aws: FakeAws, records: Path) -> None:
    """It says nothing about the URI."""
    aws.on("PutObject", AwsSays("SlowDown", "later", 503))
    with pytest.raises(ClientError, match="SlowDown"):
        TaskRun().of(operator(records, report_uri="s3://models/smoke-test.json"))


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
    (CSV, {"checker": "no_such_module.judge"}, "checker: got 'no_such_module.judge'"),
    (CSV, {"checker": "builtins.min", "tolerance": 1}, "tolerance: got 1.0; allowed is None beside a checker"),
    (CSV, {"maximum_p50_latency_ms": 20, "maximum_p99_latency_ms": 10}, "maximum_p50_latency_ms: got 20"),
    (CSV, {"repeats": 0}, "repeats: got 0"),
    (CSV, {"repeats": "1.5"}, "repeats: got '1.5'"),
    (CSV, {"each_variant": "some"}, "each_variant: got 'some'"),
    (CSV, {"each_variant": True, "target_variant": "A"}, "each_variant: got True; allowed is nothing beside"),
    (CSV, {"target_variants": ["A"], "target_variant": "B"}, r"target_variants: got \['A'\]"),
    (CSV, {"target_variants": []}, r"target_variants: got \[\]"),
    (CSV, {"target_variants": "A"}, "target_variants: got 'A'"),
    (CSV, {"target_variants": ["A", "A"]}, "target_variants: .* each once"),
    (CSV, {"target_variants": ["A", "not a name"]}, "TargetVariant: got 'not a name'"),
    (CSV, {"report_uri": "smoke-test.json"}, "report_uri: got 'smoke-test.json'"),
    (CSV, {"report_uri": "s3://models/folder/"}, "report_uri: .*names a folder"),
    (CSV, {"report_uri": ""}, "report_uri: got ''"),
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
    assert {name for name, _ in aws.calls} <= {"ListEndpointConfigs"}
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


def model_error(status: int, said: str) -> AwsSays:
    """Make AWS's word for a container that did not answer well."""
    log = "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/sagemaker/Endpoints/iris"
    fields = {"OriginalStatusCode": status, "OriginalMessage": said, "LogStreamArn": log}
    return AwsSays("ModelError", f"Received server error ({status})", 424, **fields)


SILENT_500 = model_error(500, "")


def too_late(**_: Any) -> dict[str, Any]:
    """Be the network on which no answer comes."""
    raise ReadTimeoutError(endpoint_url="https://runtime.sagemaker.eu-west-1.amazonaws.com")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (SILENT_500, "The container behind iris answered with status 500: "),
        (
            model_error(0, "Your invocation timed out"),
            "The container behind iris did not answer: Your invocation timed",
        ),
        (lambda **_: reply("<html>"), "cannot be read as predictions"),
        (lambda **_: reply("[1, 2]"), "2 predictions to 1 records"),
        (too_late, "iris did not answer within 70 s"),
    ],
    ids=["500", "timed out", "garbage", "too many", "client timed out"],
)
@pytest.mark.parametrize("target", [None, "AllTraffic"], ids=["only variant", "target"])
def test_a_container_that_does_not_answer_is_told_with_variant_and_log(
    aws: FakeAws, records: Path, answer: Any, message: str, target: str | None
) -> None:
    """The report has what was answered before, and is written."""
    bucket = Bucket(aws)
    aws.on("DescribeEndpoint", describes("AllTraffic"))
    requests = iter(range(10))

    def invoke(**request: Any) -> dict[str, Any]:
        if next(requests) < 3:
            return GOOD(**request)
        if isinstance(answer, AwsSays):
            raise answer
        told: dict[str, Any] = answer(**request)
        return told

    aws.on("InvokeEndpoint", invoke)
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=f"variant AllTraffic: record 3: .*{message}") as caught:
        run.of(operator(records, target_variant=target, endpoint_config_name="new", report_uri="s3://models/r.json"))
    assert isinstance(caught.value.__cause__, SmokeTestError)
    assert "#logsV2:log-groups/log-group/$252Faws$252Fsagemaker$252FEndpoints$252Firis" in str(caught.value)
    assert (
        str(caught.value)
        .splitlines()[2 if isinstance(answer, AwsSays) else 1]
        .endswith("$3FlogStreamNameFilter$3DAllTraffic$252F")
    )
    assert [entry["record"] for entry in bucket.report["predictions"]] == [1, 2]
    assert run.xcoms["return_value"]["passed"] is bucket.report["passed"] is False


def test_without_a_look_the_variant_is_not_guessed(aws: FakeAws, records: Path) -> None:
    """A role that may only invoke cannot know it; the log of all variants is shown."""
    aws.on("InvokeEndpoint", SILENT_500)
    run = TaskRun()
    with pytest.raises(AirflowFailException, match="good enough: record 1: The container behind iris") as caught:
        run.of(operator(records, warm_up_requests=0))
    assert "StreamNameFilter" not in str(caught.value)
    assert aws.asked("DescribeEndpoint") == []
    assert run.xcoms["return_value"]["latency_ms"] == {}


def test_the_buttons_lead_to_endpoint_and_log(aws: FakeAws, records: Path) -> None:
    """They are there before the first question, for a test that never ends."""
    run = TaskRun()
    aws.on("InvokeEndpoint", AwsSays("ServiceUnavailable", "try again", 503))
    with pytest.raises(ClientError):
        run.of(operator(records))
    assert sorted(run.xcoms) == sorted(link.xcom_key for link in operator(records).operator_extra_links)


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
