"""What follows a smoke test of a deployment, seen from the requests that reach AWS."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowTaskTimeout, TaskDeferred

from sagemaker_byoc.claim import claim_name, run_key
from sagemaker_byoc.errors import EndpointSupersededError, SmokeTestError
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws
from tests.support.fake_configs import BEGIN, FakeConfigs
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORDS = [{"length": 1, "species": "setosa"}, {"length": 9, "species": "virginica"}]
POINT = {"config": {"EndpointConfigName": "old", "ProductionVariants": []}, "models": []}
DEPLOYED = {
    "endpoint_name": "iris",
    "endpoint_config_name": "new",
    "previous_endpoint_config_name": "old",
    "operation": "update",
    "restore_point": POINT,
}
CANDIDATE = {
    "variants": {"AllTraffic": "AllTraffic-candidate"},
    "live": {"AllTraffic": 1.0},
    "final_config": {"EndpointConfigName": "final", "ProductionVariants": [{"VariantName": "AllTraffic"}]},
    "update": {},
}
FIRST = {**DEPLOYED, "previous_endpoint_config_name": None, "operation": "create", "restore_point": None}
LIVE_AGAIN = (
    "Live now: old \\(InService\\). It was live before this deployment. It answers: iris/AllTraffic: 2 of 2 right"
)


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS, where the old model answers rightly and every other one calls everything long."""
    with fake_aws() as aws:
        yield aws


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeEndpoint:
    """The endpoint with the new configuration; it does quickly what it is told."""
    endpoint = FakeEndpoint(aws)
    endpoint.settles = True
    endpoint.exists("InService", "new")
    served = {"config": "new"}

    def update(**request: Any) -> dict[str, Any]:
        served["config"] = request["EndpointConfigName"]
        return endpoint.update(**request)

    def create(**request: Any) -> dict[str, Any]:
        served["config"] = request["EndpointConfigName"]
        return endpoint.create(**request)

    def invoke(**request: Any) -> dict[str, Any]:
        _, length = bytes(request["Body"]).decode().split()
        label = "setosa" if served["config"] == "old" and float(length) < 5 else "virginica"
        return answer(json.dumps({"predictions": [{"label": label}]}))

    aws.on("UpdateEndpoint", update)
    aws.on("CreateEndpoint", create)
    aws.on("InvokeEndpoint", invoke)
    return endpoint


def answer(body: str) -> dict[str, Any]:
    """Make an answer of InvokeEndpoint."""
    content = io.BytesIO(body.encode())
    return {"Body": content, "ContentType": "application/json", "InvokedProductionVariant": "AllTraffic"}


def operator(**changes: Any) -> InvokeSmokeTestOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "deployment": DEPLOYED,
        "records": RECORDS,
        "label_column": "species",
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
    }
    return InvokeSmokeTestOperator(task_id="smoke_test", **{**settings, **changes})


def verdicts(aws: FakeAws) -> list[str]:
    """Return what was noted on the configuration."""
    return [tag["Value"] for request in aws.asked("AddTags") for tag in request["Tags"] if tag["Key"] == "smoke_test"]


def changes_of(aws: FakeAws) -> list[str]:
    """Return the operations that changed an endpoint."""
    return [name for name, _ in aws.calls if name in ("CreateEndpoint", "UpdateEndpoint", "DeleteEndpoint")]


def test_a_good_deployment_stays_and_is_marked_as_proven(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Name and configuration come from the deployment."""
    report = TaskRun().of(operator(minimum_accuracy=0.5, deployment=json.dumps(DEPLOYED)))
    assert (report["endpoint_name"], report["passed"]) == ("iris", True)
    assert verdicts(aws) == ["passed"]
    assert changes_of(aws) == []


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_bad_deployment_is_rolled_back(aws: FakeAws, endpoint: FakeEndpoint, deferrable: bool) -> None:
    """The wait holds no worker, and the task fails with both: what failed, and what is live now."""
    run = TaskRun()
    with pytest.raises(AirflowFailException, match=rf"(?s)accuracy 0.500 .*{LIVE_AGAIN}") as caught:
        run.of(operator(deferrable=deferrable))
    assert isinstance(caught.value.__cause__, SmokeTestError)
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old"}]
    assert len(run.deferrals) == int(deferrable)
    assert run.xcoms["return_value"]["correct"] == 1
    assert verdicts(aws) == [
        "failed: Endpoint iris is not good enough: accuracy 0.500 _1 of 2 right_ is below minimum_accuracy 0.9"
    ]


def test_a_fleet_that_was_scaled_keeps_its_size(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Ten instances that serve do not become the one of the old configuration."""
    retain = {"RetainAllVariantProperties": True}
    with pytest.raises(AirflowFailException, match=LIVE_AGAIN):
        TaskRun().of(operator(deployment={**DEPLOYED, "retain": retain}))
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old", **retain}]


CRASH = AwsSays("ModelError", "Received server error", 424, OriginalStatusCode=500, OriginalMessage="out of order")
BAD_ANSWERS = [
    (CRASH, {}, "status 500: out of order"),
    (lambda **_: answer("<html>"), {}, "cannot be read|not|html"),
    (lambda **_: answer("[1, 2]"), {}, "2 predictions to 1 records"),
    (None, {"maximum_latency_ms": 0.0001, "minimum_accuracy": 0}, "p95 latency"),
]


@pytest.mark.parametrize(("reply", "changes", "message"), BAD_ANSWERS, ids=["crash", "garbled", "too many", "slow"])
def test_every_kind_of_failure_is_rolled_back(
    aws: FakeAws, endpoint: FakeEndpoint, reply: Any, changes: dict[str, Any], message: str
) -> None:
    """Errors of the container and answers that cannot be read say as much as wrong ones."""
    if reply is not None:
        aws.on("InvokeEndpoint", reply)
    with pytest.raises(AirflowFailException, match=rf"(?s)({message}).*Live now: old \(InService\)"):
        TaskRun().of(operator(**changes))
    assert changes_of(aws) == ["UpdateEndpoint"]


def test_a_restored_model_that_does_not_answer_is_told(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It may not know the columns of the new records, and is live all the same."""
    aws.on("InvokeEndpoint", CRASH)
    with pytest.raises(AirflowFailException, match=r"(?s)Live now: old .*does not answer the test's records: .*500"):
        TaskRun().of(operator())


def test_a_restored_model_that_is_busy_is_told_and_the_story_kept(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A retry would not have the reason of the failure any more, and nothing to put back."""
    answers = iter([CRASH])

    def invoke(**_: Any) -> dict[str, Any]:
        raise next(answers, AwsSays("ServiceUnavailable", "try again", 503))

    aws.on("InvokeEndpoint", invoke)
    with pytest.raises(
        AirflowFailException, match=r"(?s)out of order.*Live now: old .*could not be asked.*ServiceUnavailable"
    ):
        TaskRun().of(operator())


def judge(features: Any, label: Any, prediction: Any) -> bool:
    """Fail as a checker; the tests name it by its import path."""
    raise ZeroDivisionError


FORBIDDEN = AwsSays("AccessDenied", "not authorized to perform s3:GetObject", 403)
WITHOUT_VERDICT = [
    ({}, {"records": "/no/such/file"}, "records: got '/no/such/file'"),
    ({"GetObject": FORBIDDEN}, {"records": "s3://bucket/test.csv"}, "records: got|s3:GetObject"),
    ({}, {"checker": "no_such_module.judge"}, "checker: got 'no_such_module.judge'"),
    ({}, {"checker": f"{__name__}.judge"}, "ZeroDivisionError"),
    ({"InvokeEndpoint": AwsSays("ValidationError", "Variant of account not found.")}, {}, "not found"),
    ({"PutObject": FORBIDDEN}, {"report_uri": "s3://bucket/report.json", "minimum_accuracy": 0}, "report_uri: got"),
    ({}, {"maximum_latency_ms": "soon"}, "maximum_latency_ms: got 'soon'"),
]


@pytest.mark.parametrize(("answers", "changes", "message"), WITHOUT_VERDICT)
def test_a_test_without_a_verdict_is_rolled_back(
    aws: FakeAws, endpoint: FakeEndpoint, answers: dict[str, AwsSays], changes: dict[str, Any], message: str
) -> None:
    """Its model would serve untested; the message says what kept the test from its end, and what is live."""
    for operation, reply in answers.items():
        aws.on(operation, reply)
    with pytest.raises(AirflowFailException, match=rf"(?s)no verdict: .*({message}).*Live now: old \(InService\)"):
        TaskRun().of(operator(**changes))
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old"}]
    assert [verdict[:27] for verdict in verdicts(aws)] == ["failed: The test came to no"]


def test_a_test_that_takes_too_long_is_rolled_back_on_its_last_try(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Before, the next try may be quicker."""

    def invoke(**_: Any) -> dict[str, Any]:
        raise AirflowTaskTimeout("Timeout")

    aws.on("InvokeEndpoint", invoke)
    with pytest.raises(AirflowTaskTimeout):
        TaskRun(try_number=2, max_tries=2).of(operator())
    assert changes_of(aws) == []
    with pytest.raises(AirflowFailException, match=r"(?s)no verdict: .*Timeout.*Live now: old"):
        TaskRun(try_number=3, max_tries=2).of(operator())
    assert changes_of(aws) == ["UpdateEndpoint"]


def test_the_endpoint_is_given_back_only_after_the_rollback(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Another run would take a model that nobody has tested for its way back."""
    aws.date = BEGIN
    configs, run = FakeConfigs(aws), TaskRun()
    key = run_key("retrain", run.run_id)
    configs.create(EndpointConfigName=claim_name("iris", 1), Tags=[{"Key": "claim_holder", "Value": key}])
    configs.create(EndpointConfigName="new")
    configs.create(EndpointConfigName="old")
    with pytest.raises(AirflowFailException, match="rollback is off"):
        run.of(operator(rollback=False))
    assert configs.claims() == [key]
    with pytest.raises(AirflowFailException, match="Live now: old"):
        run.of(operator())
    assert configs.claims() == []


def test_another_try_goes_on_although_the_records_are_gone(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """What an earlier try began needs none."""
    endpoint.exists("Updating", "new", pending="old")
    with pytest.raises(TaskDeferred):
        operator(records="/no/such/file").execute(TaskRun(try_number=2).context)


def test_a_passing_fault_rolls_nothing_back(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It says nothing about the model, and the next try may find it well."""
    aws.on("InvokeEndpoint", AwsSays("ServiceUnavailable", "try again", 503))
    with pytest.raises(Exception, match="ServiceUnavailable") as caught:
        TaskRun().of(operator())
    assert not isinstance(caught.value, AirflowFailException)
    assert (changes_of(aws), verdicts(aws)) == ([], [])


def test_a_deployment_that_was_overtaken_rolls_nothing_back(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The endpoint is another run's now."""
    endpoint.exists("InService", "third")
    with pytest.raises(AirflowFailException, match="another deployment") as caught:
        TaskRun().of(operator())
    assert isinstance(caught.value.__cause__, EndpointSupersededError)
    assert (changes_of(aws), verdicts(aws)) == ([], [])


def test_one_that_is_overtaken_during_the_way_back_is_told(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Between the verdict and the next look another run came."""
    new = ("InService", "new")
    endpoint.goes_through(new, new, new, ("InService", "third"))
    with pytest.raises(AirflowFailException, match=r"(?s)accuracy 0.500.*later deployment was left alone.*third"):
        TaskRun().of(operator())
    assert changes_of(aws) == []


def test_a_deleted_endpoint_is_created_with_the_old_configuration(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Somebody deleted it between the deployment and the test."""
    endpoint.goes_through(None)
    with pytest.raises(AirflowFailException, match=rf"(?s)somebody deleted it.*{LIVE_AGAIN}"):
        TaskRun().of(operator())
    assert [request["EndpointConfigName"] for request in aws.asked("CreateEndpoint")] == ["old"]


@pytest.mark.parametrize(("switch", "message"), [("False", "rollback is off"), (False, "rollback is off")])
def test_the_rollback_can_be_turned_off(aws: FakeAws, endpoint: FakeEndpoint, switch: bool | str, message: str) -> None:
    """The new model stays, and the message says so."""
    with pytest.raises(AirflowFailException, match=rf"(?s)accuracy 0.500.*{message}. Live now: new \(InService\)"):
        TaskRun().of(operator(rollback=switch))
    assert changes_of(aws) == []


ALONE = [
    ("keep", "create", "nothing is put back .*Live now: new", []),
    ("delete", "create", "is being deleted", ["DeleteEndpoint"]),
    ("delete", "adopt", "is being deleted", ["DeleteEndpoint"]),
    ("delete", "none", "This run replaced nothing.*Live now: new", []),
]


@pytest.mark.parametrize(("on_failure", "operation", "message", "changes"), ALONE)
def test_a_first_deployment_is_kept_or_deleted(
    aws: FakeAws, endpoint: FakeEndpoint, on_failure: str, operation: str, message: str, changes: list[str]
) -> None:
    """As the DAG says; what was live before this run is never deleted."""
    with pytest.raises(AirflowFailException, match=rf"(?s)accuracy 0.500.*{message}"):
        TaskRun().of(operator(deployment={**FIRST, "operation": operation}, on_failure=on_failure))
    assert changes_of(aws) == changes


def test_a_way_back_that_fails_is_told_with_what_failed_first(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """Two things went wrong, and the message says both."""
    aws.on("UpdateEndpoint", AwsSays("AccessDeniedException", "not authorized to perform sagemaker:UpdateEndpoint"))
    with pytest.raises(
        AirflowFailException, match=r"(?s)accuracy 0.500.*way back failed: .*not authorized.*Live now: new"
    ):
        TaskRun().of(operator())


REFUSED_FOR_NOW = [
    ("UpdateEndpoint", "out of order.*way back failed: .*quota.*Live now: new"),
    (
        "DescribeEndpoint",
        "no verdict.*quota.*way back failed: .*quota.*What is live now could not be looked up: .*quota",
    ),
]


@pytest.mark.parametrize(("operation", "message"), REFUSED_FOR_NOW)
def test_a_way_back_that_is_refused_for_now_is_told_with_what_failed_first_on_the_last_try(
    aws: FakeAws, endpoint: FakeEndpoint, operation: str, message: str
) -> None:
    """Before, the next try tests again and goes back then; the last one is where a person looks."""

    def invoke(**_: Any) -> dict[str, Any]:
        aws.on(operation, AwsSays("ResourceLimitExceeded", "The account-level quota is used up."))
        raise CRASH

    aws.on("InvokeEndpoint", invoke)
    with pytest.raises(Exception, match="quota") as passing:
        TaskRun(try_number=2, max_tries=2).of(operator())
    assert not isinstance(passing.value, AirflowFailException)
    endpoint = FakeEndpoint(aws)
    endpoint.exists("InService", "new")
    with pytest.raises(AirflowFailException, match=f"(?s){message}"):
        TaskRun(try_number=3, max_tries=2).of(operator())


def test_a_fault_that_outlasts_the_tries_is_rolled_back(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A model that does not answer on any try is as bad as one that answers wrongly."""
    aws.on("InvokeEndpoint", AwsSays("ServiceUnavailable", "try again", 503))
    with pytest.raises(AirflowFailException, match=r"(?s)no verdict: .*try again.*Live now: old \(InService\)"):
        TaskRun(try_number=3, max_tries=2).of(operator())
    assert changes_of(aws) == ["UpdateEndpoint"]


@pytest.mark.parametrize("deployment", [DEPLOYED, {**DEPLOYED, "candidate": CANDIDATE}], ids=["direct", "candidate"])
def test_a_first_look_that_fails_is_rolled_back_like_any_other(
    aws: FakeAws, endpoint: FakeEndpoint, deployment: dict[str, Any]
) -> None:
    """It comes before the test, and leaves its model as untested: on the last try, or where AWS denies it."""
    refuse_once(aws, endpoint, "ThrottlingException")
    with pytest.raises(Exception, match="not now") as passing:
        TaskRun(try_number=2, max_tries=2).of(operator(deployment=deployment))
    assert not isinstance(passing.value, AirflowFailException)
    assert changes_of(aws) == []
    refuse_once(aws, endpoint, "ThrottlingException")
    with pytest.raises(AirflowFailException, match=r"(?s)no verdict: .*not now.*Live now: old"):
        TaskRun(try_number=3, max_tries=2).of(operator(deployment=deployment))
    endpoint.exists("InService", "new")
    refuse_once(aws, endpoint, "AccessDeniedException")
    with pytest.raises(AirflowFailException, match=r"(?s)no verdict: .*not now.*Live now: old"):
        TaskRun().of(operator(deployment=deployment))


def refuse_once(aws: FakeAws, endpoint: FakeEndpoint, code: str) -> None:
    """Let AWS answer the next look at the endpoint with an error."""
    refusals = iter([AwsSays(code, "not now")])

    def describe(**request: Any) -> dict[str, Any]:
        for refusal in refusals:
            raise refusal
        return endpoint.describe(**request)

    aws.on("DescribeEndpoint", describe)


def test_a_note_that_fails_stops_nothing(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The endpoint matters more than what is written about it."""
    aws.on("AddTags", AwsSays("AccessDeniedException", "not authorized to perform sagemaker:AddTags"))
    with pytest.raises(AirflowFailException, match=LIVE_AGAIN):
        TaskRun().of(operator())


@pytest.mark.parametrize("found", [("InService", "old"), None], ids=["through", "deleted"])
def test_another_try_goes_on_where_the_worker_died(
    aws: FakeAws, endpoint: FakeEndpoint, found: tuple[str, str] | None
) -> None:
    """It finds what the earlier one did and noted, and fails for the same reason."""
    endpoint.goes_through(found)
    aws.on("ListTags", {"Tags": [{"Key": "smoke_test", "Value": "failed: accuracy 0.500"}]})
    with pytest.raises(AirflowFailException, match=r"(?s)earlier try.*failed: accuracy 0.500.*Live now: old"):
        TaskRun(try_number=2).of(operator())
    assert changes_of(aws) == ([] if found else ["CreateEndpoint"])
    assert verdicts(aws) == []


def test_another_try_waits_for_the_rollback_that_is_under_way(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The worker died after the call; nothing is called again, and no model is asked before it is through."""
    endpoint.exists("Updating", "new", pending="old")
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun(try_number=2).context)
    assert aws.asked("InvokeEndpoint") == []
    endpoint.exists("InService", "old")
    with pytest.raises(AirflowFailException, match=r"(?s)was given old back, by an earlier try.*Live now: old"):
        operator().execute_complete(TaskRun().context, {"look": None}, **(deferral.value.kwargs or {}))
    assert changes_of(aws) == []


@pytest.mark.parametrize("records", ["/no/such/file", "s3://bucket/test.csv"])
def test_a_rollback_comes_to_its_end_although_the_records_are_gone(
    aws: FakeAws, endpoint: FakeEndpoint, records: str
) -> None:
    """The story and the look whether the old model took are worth more than its answers."""
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun().context)
    aws.on("GetObject", AwsSays("SlowDown", "busy", 503))
    endpoint.exists("InService", "old")
    message = r"(?s)accuracy 0.500.*Live now: old \(InService\).*could not be asked the test's records"
    with pytest.raises(AirflowFailException, match=message):
        operator(records=records).execute_complete(TaskRun().context, {"look": None}, **(deferral.value.kwargs or {}))


def test_a_wait_that_broke_off_tells_what_failed_first(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The trigger gives up only where no further look would succeed."""
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun().context)
    with pytest.raises(AirflowFailException, match=r"(?s)accuracy 0.500.*old to be live again broke off: forbidden"):
        operator().execute_complete(TaskRun().context, {"error": "forbidden"}, **(deferral.value.kwargs or {}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"on_failure": "explode"}, "on_failure: got 'explode'"),
        ({"rollback": "perhaps"}, "rollback: got 'perhaps'"),
        ({"deployment": "iris"}, "deployment: got 'iris'"),
        ({"deployment": None}, "endpoint_name: got None"),
    ],
)
def test_bad_input_is_refused_before_any_call(
    aws: FakeAws, endpoint: FakeEndpoint, changes: dict[str, Any], message: str
) -> None:
    """The message names the field."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(**changes))
    assert {name for name, _ in aws.calls} <= {"ListEndpointConfigs"}
