"""Shifting an endpoint's traffic, seen from the requests that reach AWS."""

from __future__ import annotations

import json
from typing import Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralError,
    TaskDeferralTimeout,
    TaskDeferred,
)

from sagemaker_byoc.errors import TrafficShiftError
from sagemaker_byoc.operators.traffic_shift import ShiftTrafficOperator
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_candidate import DEPLOYED, REPLACED, FakeCandidate
from tests.support.task_run import TaskRun, event_of

BOTH = [
    {"VariantName": "AllTraffic", "ModelName": "old-m", "InitialVariantWeight": 1.0},
    {"VariantName": "AllTraffic-candidate", "ModelName": "new-m", "InitialVariantWeight": 0.0},
]
GOOD = {"Invocations": 100.0, "ModelLatency": 100 * 2000.0}
BAD = {**GOOD, "Invocation5XXErrors": 30.0}
CHANGES = ("AddTags", "CreateEndpointConfig", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities", "DeleteEndpoint")


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeCandidate:
    """An endpoint with a candidate that does well at each step."""
    endpoint = FakeCandidate(aws)
    endpoint.configs["both"] = BOTH
    endpoint.serves("both", {"AllTraffic": 1.0, "AllTraffic-candidate": 0.0})
    endpoint.metrics = dict.fromkeys([10, 50, 100], GOOD)
    return endpoint


def operator(**changes: Any) -> ShiftTrafficOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "deployment": DEPLOYED,
        "steps": "[10, 50, 100]",
        "bake_seconds": "60",
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
    }
    return ShiftTrafficOperator(task_id="shift_traffic", **{**settings, **changes})


def changes_of(aws: FakeAws) -> list[str]:
    """Return the operations that changed something."""
    return [name for name, _ in aws.calls if name in CHANGES]


def shares(aws: FakeAws) -> list[float]:
    """Return the weights that the candidate was given."""
    return [
        weight["DesiredWeight"]
        for request in aws.asked("UpdateEndpointWeightsAndCapacities")
        for weight in request["DesiredWeightsAndCapacities"]
        if weight["VariantName"] == "AllTraffic-candidate"
    ]


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_traffic_goes_step_by_step(aws: FakeAws, endpoint: FakeCandidate, deferrable: bool) -> None:
    """Then the endpoint is the candidate's alone; the wait holds no worker."""
    run = TaskRun()
    result = run.of(operator(deferrable=deferrable, deployment=json.dumps(DEPLOYED)))
    assert result == {"endpoint_name": "iris", "endpoint_config_name": "final", "operation": "shift"}
    assert shares(aws) == [0.1, 0.5, 1.0]
    assert changes_of(aws)[-3:] == ["CreateEndpointConfig", "UpdateEndpoint", "AddTags"]
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "final"}]
    assert len(run.deferrals) == int(deferrable)


def test_the_final_configuration_knows_its_past(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """It replaced the one from before the candidate, and its model has passed the smoke test."""
    endpoint.tags = {"smoke_test": "passed"}
    TaskRun().of(operator(steps=None))
    [request] = aws.asked("CreateEndpointConfig")
    tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
    assert tags == {"endpoint": "iris", "replaced_config": "old", "smoke_test": "passed"}


def test_each_step_is_watched_for_its_time(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Six looks of ten seconds, of the candidate's metrics, from the minute in which the step began."""
    TaskRun().of(operator(steps=None))
    asked = aws.asked("GetMetricData")
    assert 6 <= len(asked) <= 8
    query = asked[0]["MetricDataQueries"][0]["MetricStat"]
    assert query["Metric"]["Namespace"] == "AWS/SageMaker"
    assert {each["Name"]: each["Value"] for each in query["Metric"]["Dimensions"]} == {
        "EndpointName": "iris",
        "VariantName": "AllTraffic-candidate",
    }
    assert asked[0]["StartTime"].second == 0


LIMITS: list[tuple[dict[str, float], dict[str, Any], str]] = [
    (BAD, {}, r"30 of 100 requests failed \(0.300\), above maximum_error_share 0.01"),
    ({**GOOD, "InvocationModelErrors": 9.0, "Invocation4XXErrors": 5.0}, {}, "4 of 100 requests failed"),
    (GOOD, {"maximum_latency_ms": "1.5"}, "2.0 ms on average over 100 requests, above maximum_latency_ms 1.5"),
]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("metrics", "changes", "why"), LIMITS)
def test_a_missed_limit_takes_everything_back(
    aws: FakeAws,
    endpoint: FakeCandidate,
    deferrable: bool,
    metrics: dict[str, float],
    changes: dict[str, Any],
    why: str,
) -> None:
    """The verdict first, then the weights, then the configuration; then all of it is told."""
    endpoint.metrics = {10: {**GOOD, "ModelLatency": 0.0}, 50: metrics}
    told = rf"(?s)step 2 of 3 \(50% of the traffic\): .*{why}.*earlier configuration back.*Live now: old \(InService\)"
    with pytest.raises(AirflowFailException, match=told) as caught:
        TaskRun().of(operator(deferrable=deferrable, **changes))
    assert isinstance(caught.value.__cause__, TrafficShiftError)
    assert shares(aws) == [0.1, 0.5, 0.0]
    assert changes_of(aws)[-3:] == ["AddTags", "UpdateEndpointWeightsAndCapacities", "UpdateEndpoint"]
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old"}]
    assert endpoint.tags["smoke_test"].startswith("failed: traffic shift: Endpoint iris at step 2 of 3")


def test_requests_that_clients_spoil_are_no_failures(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The live model would have refused them as well."""
    endpoint.metrics = {100: {**GOOD, "Invocation4XXErrors": 50.0, "InvocationModelErrors": 50.0}}
    assert TaskRun().of(operator(steps=None))["operation"] == "shift"


def test_too_few_requests_say_nothing(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The step lasts twice as long, and the shift goes on."""
    endpoint.metrics = {100: {"Invocations": 3.0, "Invocation5XXErrors": 3.0}}
    assert TaskRun().of(operator(steps=None, minimum_invocations="4"))["operation"] == "shift"
    assert len(aws.asked("GetMetricData")) >= 12


def test_a_later_try_goes_on_where_the_endpoint_is(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """A step that was reached is not taken again."""
    endpoint.serves("both", {"AllTraffic": 0.5, "AllTraffic-candidate": 0.5})
    assert TaskRun(try_number=2).of(operator())["operation"] == "shift"
    assert shares(aws) == [1.0]


def test_a_later_try_finds_the_last_update_through(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Nothing is left to do."""
    endpoint.serves("final")
    assert TaskRun(try_number=2).of(operator())["operation"] == "shift"
    assert changes_of(aws) == []


@pytest.mark.parametrize("live", ["both", "old"])
def test_a_later_try_goes_on_with_the_way_back(aws: FakeAws, endpoint: FakeCandidate, live: str) -> None:
    """The worker died after the verdict; the candidate gets no second chance, and the reason is kept."""
    endpoint.tags = {"smoke_test": "failed: traffic shift: at step 2"}
    endpoint.serves(live, {"AllTraffic": 1.0, "AllTraffic-candidate": 0.0})
    with pytest.raises(AirflowFailException, match=r"(?s)ended so: .*at step 2.*Live now: old"):
        TaskRun(try_number=2).of(operator())
    assert changes_of(aws) == (["UpdateEndpoint"] if live == "both" else [])


def test_a_verdict_that_cannot_be_noted_holds_up_nothing(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The traffic matters more."""
    endpoint.metrics = {10: BAD}
    aws.on("AddTags", AwsSays("AccessDeniedException", "no tags for you"))
    with pytest.raises(AirflowFailException, match="Live now: old"):
        TaskRun().of(operator())
    assert shares(aws) == [0.1, 0.0]


TAKEN_BACK = r"(?s)update of endpoint iris to final failed.*had 100% of the traffic.*configuration back.*Live now: old"


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize("bake_seconds", [0, 60])
def test_a_promotion_that_aws_takes_back_takes_everything_back(
    aws: FakeAws, endpoint: FakeCandidate, deferrable: bool, bake_seconds: int
) -> None:
    """It is sent once; then the weights go, then the configuration, and both verdicts are noted."""
    endpoint.refuses = {"final"}
    with pytest.raises(AirflowFailException, match=TAKEN_BACK) as caught:
        TaskRun().of(operator(steps=None, deferrable=deferrable, bake_seconds=bake_seconds))
    assert isinstance(caught.value.__cause__, TrafficShiftError)
    assert caught.value.__cause__.put_back
    assert [request["EndpointConfigName"] for request in aws.asked("UpdateEndpoint")] == ["final", "old"]
    assert shares(aws) == [1.0, 0.0]
    noted = [name for name, request in zip(endpoint.tagged, aws.asked("AddTags"), strict=True) if failed(request)]
    assert noted == ["final", "both"]
    assert endpoint.tags["promotion"] == "", "who has it tested again begins anew"


def failed(request: dict[str, Any]) -> bool:
    """Say whether a request notes a verdict on the shift."""
    return any(tag["Value"].startswith("failed: traffic shift: ") for tag in request["Tags"])


@pytest.mark.parametrize("deferrable", [True, False])
def test_another_try_finds_that_aws_took_the_promotion_back(
    aws: FakeAws, endpoint: FakeCandidate, deferrable: bool
) -> None:
    """The one that sent it died; the endpoint looks as it did before, and is not told the same again."""
    endpoint.tags = {"smoke_test": "passed", "promotion": "2025-12-31T23:00:00+00:00"}
    endpoint.serves("both", {"AllTraffic": 0.0, "AllTraffic-candidate": 1.0})
    with pytest.raises(AirflowFailException, match=TAKEN_BACK):
        TaskRun(try_number=2).of(operator(deferrable=deferrable))
    assert [request["EndpointConfigName"] for request in aws.asked("UpdateEndpoint")] == ["old"]
    assert shares(aws) == [0.0]


def test_a_verdict_that_was_noted_keeps_the_candidate_from_its_promotion(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Another triggerer had the same wait, and died between the note and the weights."""
    with pytest.raises(TaskDeferred) as deferral:
        operator(steps=None).execute(TaskRun().context)
    endpoint.tags = {"smoke_test": "failed: traffic shift: at step 1"}
    endpoint.serves("both", {"AllTraffic": 0.0, "AllTraffic-candidate": 1.0})
    assert "at step 1" in event_of(deferral.value.trigger)["result"]["breach"]
    assert (shares(aws), aws.asked("UpdateEndpoint")) == ([0.0], [])


def test_the_same_wait_elsewhere_sees_a_promotion_come_and_go(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """What it has seen on its way and does not find live was taken back, whoever sent it and whatever was noted."""
    endpoint.refuses, endpoint.update_looks = {"final"}, 2
    endpoint.serves("both", {"AllTraffic": 0.0, "AllTraffic-candidate": 1.0})
    endpoint._UpdateEndpoint(EndpointConfigName="final")
    with pytest.raises(AirflowFailException, match=TAKEN_BACK):
        TaskRun().of(operator())
    assert [request["EndpointConfigName"] for request in aws.asked("UpdateEndpoint")] == ["old"]


@pytest.mark.parametrize("late", [1, 3])
def test_a_promotion_that_is_seen_late_is_waited_for(aws: FakeAws, endpoint: FakeCandidate, late: int) -> None:
    """AWS may answer once with the state from before an update that it has taken."""
    endpoint.late = late
    assert TaskRun().of(operator(steps=None, bake_seconds=0))["operation"] == "shift"
    assert len(aws.asked("UpdateEndpoint")) == 1
    assert shares(aws) == [1.0]


def test_a_promotion_of_which_nothing_is_seen_was_taken_back(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """In case that AWS does not count the way back as a change."""
    endpoint.late = 100
    with pytest.raises(AirflowFailException, match="update of endpoint iris to final failed"):
        TaskRun().of(operator(steps=None, bake_seconds=0))
    assert shares(aws) == [1.0, 0.0]


def test_a_final_configuration_that_never_served_has_not_passed(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """It was made with the verdict of the smoke test, and would be taken for a way back."""
    denied(aws, "UpdateEndpoint")
    with pytest.raises(AirflowFailException, match="not authorized to perform UpdateEndpoint"):
        TaskRun().of(operator(steps=None))
    noted = {request["ResourceArn"].rpartition("/")[2] for request in aws.asked("AddTags") if failed(request)}
    assert noted == {"final", "both"}


def test_an_endpoint_that_was_deleted_is_not_made_again(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Not even by a shift that breaks off: a person wants it gone."""
    endpoint.serves(None)
    with pytest.raises(AirflowFailException, match=r"(?s)bake_seconds.*somebody deleted it"):
        TaskRun().of(operator(bake_seconds=-1))
    assert changes_of(aws) == []


LOST: list[tuple[str | None, str, str]] = [
    (None, "InService", "somebody deleted it"),
    ("both", "Deleting", "somebody deleted it"),
    ("old", "InService", "serves old again"),
    ("third", "InService", "serves third instead of both"),
]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("live", "status", "message"), LOST)
def test_an_endpoint_without_the_candidate_is_left_alone(
    aws: FakeAws, endpoint: FakeCandidate, deferrable: bool, live: str | None, status: str, message: str
) -> None:
    """What has become of it is told."""
    endpoint.serves(live)
    endpoint.status = status
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(deferrable=deferrable))
    assert changes_of(aws) == []


def test_a_busy_endpoint_is_told_again(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Somebody scaled it between the look and the call."""
    refusals = iter([AwsSays("ValidationException", 'Cannot update in-progress endpoint "arn:…".')])

    def scale(**request: Any) -> dict[str, Any]:
        for refusal in refusals:
            raise refusal
        return endpoint._UpdateEndpointWeightsAndCapacities(**request)

    aws.on("UpdateEndpointWeightsAndCapacities", scale)
    TaskRun().of(operator(steps=None))
    assert shares(aws) == [1.0, 1.0]


def test_a_withdrawal_from_a_busy_endpoint_is_told_again(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Until it is taken, whatever is measured meanwhile; the first reason stays."""
    endpoint.metrics = {10: BAD}
    refusals = iter([AwsSays("ValidationException", 'Cannot update in-progress endpoint "arn:…".')])

    def scale(**request: Any) -> dict[str, Any]:
        if request["DesiredWeightsAndCapacities"][-1]["DesiredWeight"] == 0:
            for refusal in refusals:
                endpoint.metrics = {10: GOOD}
                raise refusal
        return endpoint._UpdateEndpointWeightsAndCapacities(**request)

    aws.on("UpdateEndpointWeightsAndCapacities", scale)
    with pytest.raises(AirflowFailException, match="30 of 100 requests failed"):
        TaskRun().of(operator())
    assert shares(aws) == [0.1, 0.0, 0.0]


@pytest.mark.parametrize("refused", ["UpdateEndpoint", "DescribeEndpoint"])
def test_a_way_back_that_is_refused_for_now_is_told_on_the_last_try(
    aws: FakeAws, endpoint: FakeCandidate, refused: str
) -> None:
    """With the limit that was missed; before, the next try goes on with the way back."""
    endpoint.metrics = {10: BAD}
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun().context)
    event = event_of(deferral.value.trigger)
    aws.on(refused, AwsSays("ResourceLimitExceeded", "The account-level quota is used up."))
    with pytest.raises(Exception, match="quota") as passing:
        operator().shift_complete(TaskRun(try_number=2, max_tries=2).context, event)
    assert not isinstance(passing.value, AirflowFailException)
    with pytest.raises(AirflowFailException, match=r"(?s)30 of 100 requests failed.*way back failed: .*quota.*ive now"):
        operator().shift_complete(TaskRun(try_number=3, max_tries=2).context, event)


def test_the_same_wait_in_another_triggerer_does_not_begin_again(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """It looks just after the other one has taken the traffic back, and finds the verdict."""
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun().context)
    endpoint.tags = {"smoke_test": "failed: traffic shift: at step 2"}
    assert "at step 2" in event_of(deferral.value.trigger)["result"]["breach"]
    assert shares(aws) == []


def test_after_a_direct_deployment_there_is_nothing_to_shift(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The task succeeds without a call that could change anything, and without a wait, whatever its steps are."""
    run = TaskRun()
    result = run.of(operator(deployment=REPLACED, steps="10, 50"))
    assert (result["operation"], run.deferrals, changes_of(aws)) == ("none", [], [])


def test_without_a_deployment_the_task_is_skipped(aws: FakeAws) -> None:
    """It was skipped before this one."""
    with pytest.raises(AirflowSkipException, match="Nothing was deployed"):
        TaskRun().of(operator(deployment="None"))


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"steps": "10, 50"}, "steps: got '10, 50'"),
    ({"bake_seconds": "-1"}, "bake_seconds: got '-1'"),
    ({"maximum_error_share": 2}, "maximum_error_share: got 2"),
    ({"minimum_invocations": "0"}, "minimum_invocations: got '0'"),
    ({"deployment": {**REPLACED, "candidate": {"variants": {}}}}, r"deployment\.candidate"),
]


@pytest.mark.parametrize(("changes", "message"), REFUSED)
def test_bad_input_gives_the_candidate_no_traffic(
    aws: FakeAws, endpoint: FakeCandidate, changes: dict[str, Any], message: str
) -> None:
    """The message names the field; what cannot be watched goes, if it is known what that is."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(operator(**changes))
    assert shares(aws) == []
    assert endpoint.live == ("both" if "deployment" in changes else "old")


def denied(aws: FakeAws, operation: str) -> None:
    """Let AWS deny a call."""
    aws.on(operation, AwsSays("AccessDeniedException", f"not authorized to perform {operation}"))


HALF = {"AllTraffic": 0.5, "AllTraffic-candidate": 0.5}
DENIED: list[tuple[str, list[float], str, str]] = [
    ("GetMetricData", [0.0], "old", r"configuration back.*Live now: old \(InService\)"),
    ("UpdateEndpointWeightsAndCapacities", [1.0, 0.0], "old", r"configuration back.*Live now: old \(InService\)"),
    (
        "UpdateEndpoint",
        [1.0, 0.0],
        "both",
        r"way back failed: .*UpdateEndpoint.*Live now: both .*the candidate gets 0% of the traffic",
    ),
    ("DescribeEndpoint", [], "both", r"way back failed: .*What is live now could not be looked up"),
]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("operation", "sent", "live", "told"), DENIED)
def test_a_missing_permission_takes_back_what_it_lets(
    aws: FakeAws,
    endpoint: FakeCandidate,
    deferrable: bool,
    operation: str,
    sent: list[float],
    live: str,
    told: str,
) -> None:
    """Nobody could watch the half that the candidate has; the error says what was denied and what is live."""
    endpoint.serves("both", HALF)
    denied(aws, operation)
    with pytest.raises(AirflowFailException, match=rf"(?s)broke off: .*{operation}.*{told}") as caught:
        TaskRun().of(operator(deferrable=deferrable))
    assert isinstance(caught.value.__cause__, TrafficShiftError)
    assert caught.value.__cause__.put_back == (live == "old")
    assert (shares(aws), endpoint.live) == (sent, live)


def test_a_breach_whose_withdrawal_is_denied_goes_back_by_the_configuration(
    aws: FakeAws, endpoint: FakeCandidate
) -> None:
    """The first reason is told, too."""
    endpoint.serves("both", HALF)
    endpoint.metrics = {50: BAD}
    denied(aws, "UpdateEndpointWeightsAndCapacities")
    told = r"(?s)ended so: failed: traffic shift: .*30 of 100.*not authorized.*Live now: old"
    with pytest.raises(AirflowFailException, match=told):
        TaskRun().of(operator())
    assert endpoint.tags["smoke_test"].startswith("failed: traffic shift: Endpoint iris at step 2")


def test_a_busy_aws_takes_the_traffic_back_on_the_last_try(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Before, the next try goes on; nobody would after it."""
    endpoint.serves("both", HALF)
    busy(aws, endpoint, 2)
    with pytest.raises(Exception, match="Rate exceeded") as passing:
        TaskRun(try_number=2, max_tries=2).of(operator())
    assert not isinstance(passing.value, AirflowFailException)
    assert changes_of(aws) == []
    with pytest.raises(AirflowFailException, match=r"(?s)broke off: .*Rate exceeded.*Live now: old"):
        TaskRun(try_number=3, max_tries=2).of(operator())
    assert shares(aws) == [0.0]


def busy(aws: FakeAws, endpoint: FakeCandidate, times: int) -> None:
    """Let AWS answer no look at the endpoint for so many times."""
    refusals = iter([AwsSays("ThrottlingException", "Rate exceeded")] * times)

    def describe(**request: Any) -> dict[str, Any]:
        for refusal in refusals:
            raise refusal
        return endpoint._DescribeEndpoint(**request)

    aws.on("DescribeEndpoint", describe)


@pytest.mark.parametrize("error", ["Trigger timeout", "Trigger failure"])
def test_a_wait_that_airflow_ends_takes_the_traffic_back_on_the_last_try(
    aws: FakeAws, endpoint: FakeCandidate, error: str
) -> None:
    """Its time was over, or its trigger could not be run; before, the next try goes on."""
    endpoint.serves("both", HALF)
    for try_number, expected in ((2, (TaskDeferralError, TaskDeferralTimeout)), (3, TaskDeferred)):
        context = TaskRun(try_number=try_number, max_tries=2).context
        with pytest.raises(expected):
            operator().resume_execution("__fail__", {"error": error}, context)
        assert shares(aws) == ([] if try_number == 2 else [0.0])
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old"}]


def test_a_time_limit_takes_the_traffic_back_on_the_last_try(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """On a worker it arrives in the middle of anything."""
    endpoint.serves("both", HALF)

    def measure(**_: Any) -> dict[str, Any]:
        raise AirflowTaskTimeout("Timeout")

    aws.on("GetMetricData", measure)
    with pytest.raises(AirflowTaskTimeout):
        TaskRun(try_number=2, max_tries=2).of(operator(deferrable=False))
    assert changes_of(aws) == []
    with pytest.raises(AirflowFailException, match=r"(?s)broke off: AirflowTaskTimeout.*Live now: old"):
        TaskRun(try_number=3, max_tries=2).of(operator(deferrable=False))


def test_a_break_finds_the_candidate_promoted(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """Another triggerer has seen the shift through; nothing is taken from a model that has earned it."""
    endpoint.serves("final")
    event = {"error": "not authorized", "lost": False}
    assert operator().shift_complete(TaskRun().context, event)["operation"] == "shift"
    assert changes_of(aws) == []


def test_a_break_during_the_promotion_leaves_it_alone(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """All steps are behind the candidate; a person is told how to see it through."""
    endpoint.update_looks = 2
    endpoint.serves("both", {"AllTraffic": 0.0, "AllTraffic-candidate": 1.0})
    endpoint._UpdateEndpoint(EndpointConfigName="final")
    with pytest.raises(AirflowFailException, match=r"(?s)not authorized.*is being given final: clear this task"):
        operator().shift_complete(TaskRun().context, {"error": "not authorized", "lost": False})
    assert changes_of(aws) == []


@pytest.mark.parametrize("deferrable", [True, False])
def test_an_endpoint_that_does_not_serve_goes_back(aws: FakeAws, endpoint: FakeCandidate, deferrable: bool) -> None:
    """The earlier model is better than none."""
    endpoint.status = "OutOfService"
    with pytest.raises(TaskDeferred) if deferrable else pytest.raises(AirflowFailException, match="is OutOfService"):
        run = TaskRun()
        if not deferrable:
            endpoint.heals = True
            run.of(operator(deferrable=False))
        event = {"error": "Endpoint iris is OutOfService with both", "lost": False}
        operator().shift_complete(run.context, event)
    assert aws.asked("UpdateEndpoint") == [{"EndpointName": "iris", "EndpointConfigName": "old"}]


def test_the_steps_are_taken_in_the_triggerer(aws: FakeAws, endpoint: FakeCandidate) -> None:
    """The worker that begins changes nothing, and none has to start before the traffic can go back."""
    with pytest.raises(TaskDeferred) as deferral:
        operator().execute(TaskRun().context)
    assert changes_of(aws) == []
    endpoint.metrics = {10: BAD}
    assert "step 1 of 3" in event_of(deferral.value.trigger)["result"]["breach"]
    assert shares(aws) == [0.1, 0.0]
