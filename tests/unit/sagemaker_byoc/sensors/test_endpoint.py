"""Waiting for an endpoint, and telling its bad ends apart."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import AirflowFailException, AirflowSensorTimeout, TaskDeferred

from sagemaker_byoc.errors import (
    EndpointFailedError,
    EndpointGoneError,
    EndpointOutOfServiceError,
    EndpointRollbackFailedError,
    EndpointRolledBackError,
    EndpointSupersededError,
)
from sagemaker_byoc.sensors.endpoint import EndpointSensor
from tests.support.fake_aws import AwsSays, FakeAws, fake_aws
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator

DEPLOYED = {
    "endpoint_name": "iris",
    "endpoint_config_name": "new",
    "previous_endpoint_config_name": "old",
    "operation": "update",
}
GROUP = "/aws/sagemaker/Endpoints/iris"


@pytest.fixture
def aws() -> Iterator[FakeAws]:
    """AWS with a container that has written two lines."""
    with fake_aws() as aws:
        created = int(datetime(2026, 2, 1, tzinfo=timezone.utc).timestamp() * 1000)
        aws.on("DescribeLogStreams", {"logStreams": [{"logStreamName": "AllTraffic/i-1", "creationTime": created}]})
        lines = [{"timestamp": 1, "message": "loading"}, {"timestamp": 2, "message": "ImportError: torch"}]
        aws.on("GetLogEvents", {"events": lines})
        yield aws


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeEndpoint:
    """The endpoint ``iris``."""
    return FakeEndpoint(aws)


def sensor(**changes: Any) -> EndpointSensor:
    """Make the sensor as a DAG would."""
    settings: dict[str, Any] = {"endpoint": DEPLOYED, "aws_conn_id": None, "poll_interval_seconds": 0, "retries": 2}
    return EndpointSensor(task_id="wait_for_endpoint", **{**settings, **changes})


@pytest.mark.parametrize("deferrable", [True, False])
def test_the_wait_ends_when_the_requested_configuration_is_live(endpoint: FakeEndpoint, deferrable: bool) -> None:
    """InService with the requested configuration is success, in the triggerer as on the worker."""
    endpoint.goes_through(("Updating", "old"), ("Updating", "old"), ("InService", "new"))
    run = TaskRun()
    assert run.of(sensor(deferrable=deferrable)) == {"endpoint_name": "iris", "endpoint_config_name": "new"}
    assert len(run.deferrals) == int(deferrable)


def test_what_is_live_already_needs_no_triggerer(endpoint: FakeEndpoint) -> None:
    """The first look is taken by the task itself."""
    endpoint.exists("InService", "new")
    run = TaskRun()
    assert run.of(sensor())["endpoint_config_name"] == "new"
    assert run.deferrals == []


@pytest.mark.parametrize("deferrable", [True, False])
def test_a_rollback_is_a_failure_with_its_reason(aws: FakeAws, endpoint: FakeEndpoint, deferrable: bool) -> None:
    """AWS says InService; the message says why the update failed, what the container wrote and where to look."""
    endpoint.goes_through(("Updating", "old"), ("RollingBack", "old"), ("InService", "old"), reason="ping failed")
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(sensor(deferrable=deferrable))
    assert isinstance(caught.value.__cause__, EndpointRolledBackError)
    text = str(caught.value)
    for part in ("ping failed", "new", "old", "ImportError: torch", "https://eu-west-1.console.aws.amazon.com"):
        assert part in text
    assert aws.asked("DescribeLogStreams")[0]["logGroupName"] == GROUP


ENDS = [
    ([("Updating", "old"), ("InService", "third")], EndpointSupersededError, "serves third instead of new"),
    ([("Creating", "new"), ("Failed", "new")], EndpointFailedError, "is Failed"),
    (
        [("Updating", "old"), ("UpdateRollbackFailed", "old")],
        EndpointRollbackFailedError,
        r"is UpdateRollbackFailed \(it serves a mix",
    ),
    ([("Updating", "old"), ("OutOfService", "new")], EndpointOutOfServiceError, "is OutOfService"),
    ([("Updating", "old"), None], EndpointGoneError, "deleted"),
    ([None], EndpointGoneError, "deleted"),
]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("states", "error", "message"), ENDS)
def test_every_other_end_fails_the_task(
    endpoint: FakeEndpoint,
    states: list[tuple[str, str] | None],
    error: type[Exception],
    message: str,
    deferrable: bool,
) -> None:
    """Each is named as what it is, and none is retried."""
    endpoint.goes_through(*states)
    with pytest.raises(AirflowFailException, match=message) as caught:
        TaskRun().of(sensor(deferrable=deferrable))
    assert type(caught.value.__cause__) is error


NOTED = [
    (
        [("Updating", "old"), ("InService", "old")],
        "failed: Endpoint iris: the update to new failed and AWS put old back",
    ),
    ([("Updating", "old"), ("OutOfService", "new")], "failed: Endpoint iris: it is OutOfService"),
    ([("Updating", "old"), ("InService", "third")], ""),
    ([("Creating", "third"), ("Failed", "third")], ""),
    ([None], ""),
]


@pytest.mark.parametrize("deferrable", [True, False])
@pytest.mark.parametrize(("states", "note"), NOTED)
def test_a_configuration_that_did_not_become_live_is_marked_as_failed(
    aws: FakeAws, endpoint: FakeEndpoint, states: list[tuple[str, str] | None], note: str, deferrable: bool
) -> None:
    """Nobody shall go back to it later; where somebody else came in between, nothing is known of it."""
    endpoint.goes_through(*states)
    with pytest.raises(AirflowFailException):
        TaskRun().of(sensor(deferrable=deferrable))
    noted = [tag["Value"] for request in aws.asked("AddTags") for tag in request["Tags"] if tag["Key"] == "smoke_test"]
    assert [value[: len(note)] for value in noted] == [note] * len(noted)
    assert bool(noted) is bool(note)


@pytest.mark.parametrize(
    ("states", "error"),
    [
        (("InService", "old"), EndpointSupersededError),
        (("OutOfService", "new"), EndpointOutOfServiceError),
        (("UpdateRollbackFailed", "new"), EndpointRollbackFailedError),
    ],
)
@pytest.mark.parametrize("reason", ["", "another update failed"])
def test_what_has_passed_its_test_is_not_marked_as_failed(
    aws: FakeAws, endpoint: FakeEndpoint, states: tuple[str, str], error: type[Exception], reason: str
) -> None:
    """A person has put the earlier one back, or the endpoint came to harm later, and the wait is cleared."""
    aws.on("ListTags", {"Tags": [{"Key": "smoke_test", "Value": "passed"}]})
    endpoint.goes_through(states, reason=reason)
    with pytest.raises(AirflowFailException) as caught:
        TaskRun().of(sensor())
    assert type(caught.value.__cause__) is error
    assert not aws.asked("AddTags")


def test_a_wait_that_is_cleared_tells_how_its_deployment_had_ended(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """The smoke test found it bad and went back: AWS had no part in that, and the reason is kept."""
    aws.on("ListTags", {"Tags": [{"Key": "smoke_test", "Value": "failed: accuracy 0.5"}]})
    endpoint.goes_through(("InService", "old"))
    with pytest.raises(AirflowFailException, match=r"iris has old back\. new ended so: failed: accuracy 0\.5"):
        TaskRun().of(sensor())
    assert not aws.asked("AddTags")


def test_what_cannot_be_read_is_not_overwritten(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """It may say that the configuration has passed."""
    aws.on("ListTags", AwsSays("ThrottlingException", "Rate exceeded"))
    endpoint.goes_through(("InService", "old"))
    with pytest.raises(AirflowFailException, match="put old back"):
        TaskRun().of(sensor())
    assert not aws.asked("AddTags")


def test_a_note_that_is_refused_changes_nothing(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A role that may only look is told what happened all the same."""
    aws.on("AddTags", AwsSays("AccessDeniedException", "not authorized to perform sagemaker:AddTags"))
    endpoint.goes_through(("Updating", "old"), ("InService", "old"), reason="ping failed")
    with pytest.raises(AirflowFailException, match="ping failed"):
        TaskRun().of(sensor())


@pytest.mark.parametrize(("deferrable", "stale_looks"), [(True, 2), (False, 1)])
def test_a_stale_answer_right_after_the_update_is_not_a_rollback(
    endpoint: FakeEndpoint, deferrable: bool, stale_looks: int
) -> None:
    """AWS may still show the old state for a moment, so an unexpected one has to be seen twice.

    Before the triggerer looks, the task itself has looked once.
    """
    endpoint.goes_through(*[("InService", "old")] * stale_looks, ("Updating", "old"), ("InService", "new"))
    assert TaskRun().of(sensor(deferrable=deferrable))["endpoint_config_name"] == "new"


def test_a_rollback_is_seen_by_a_rescheduled_sensor(endpoint: FakeEndpoint) -> None:
    """Nothing is remembered from one poke to the next, so the second look belongs to the poke."""
    endpoint.exists("InService", "old")
    with pytest.raises(AirflowFailException, match="put old back"):
        sensor(deferrable=False, mode="reschedule").poke(TaskRun().context)


@pytest.mark.parametrize("refused", ["DescribeLogStreams", "GetLogEvents", "DescribeEndpointConfig"])
def test_a_log_that_cannot_be_read_does_not_hide_the_failure(
    aws: FakeAws, endpoint: FakeEndpoint, refused: str
) -> None:
    """A role without CloudWatch still learns that the update was rolled back, and is not retried for the log."""
    aws.on(refused, AwsSays("ThrottlingException", "Rate exceeded"))
    endpoint.exists("InService", "old", reason="ping failed")
    with pytest.raises(AirflowFailException, match="ping failed") as caught:
        TaskRun().of(sensor())
    assert isinstance(caught.value.__cause__, EndpointRolledBackError)
    assert "(the log could not be read: " in str(caught.value)


def test_pings_of_the_fleet_that_went_on_serving_do_not_push_the_traceback_out(
    aws: FakeAws, endpoint: FakeEndpoint
) -> None:
    """After a rollback the old containers write on, the new ones are gone; only theirs explain the failure."""
    deployed = int(endpoint.describe_config(EndpointConfigName="new")["CreationTime"].timestamp() * 1000)
    before = [{"logStreamName": f"AllTraffic/old-{number}", "creationTime": deployed - 1} for number in range(9)]
    after = [{"logStreamName": "AllTraffic/new-1", "creationTime": deployed + 60_000}]

    def streams(**request: Any) -> dict[str, Any]:
        return {"logStreams": after} if "nextToken" in request else {"logStreams": before, "nextToken": "more"}

    def events(**request: Any) -> dict[str, Any]:
        new = "new" in request["logStreamName"]
        return {
            "events": [{"timestamp": 1 if new else 2, "message": "ImportError: torch" if new else "GET /ping"}] * 20
        }

    aws.on("DescribeLogStreams", streams)
    aws.on("GetLogEvents", events)
    endpoint.exists("InService", "old")
    with pytest.raises(AirflowFailException, match="ImportError: torch") as caught:
        TaskRun().of(sensor())
    assert "/ping" not in str(caught.value)


def test_without_a_timeout_the_wait_is_as_long_as_the_deployment(endpoint: FakeEndpoint) -> None:
    """Airflow's own default would end it after a time that nobody chose."""
    endpoint.exists("Updating", "old")
    with pytest.raises(TaskDeferred) as deferral:
        sensor().execute(TaskRun().context)
    assert deferral.value.timeout == timedelta(days=365)


def test_a_failure_without_a_log_is_told_all_the_same(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """A container that never started has written nothing."""
    aws.on("DescribeLogStreams", AwsSays("ResourceNotFoundException", "The specified log group does not exist."))
    endpoint.exists("Failed", "new", reason="no capacity")
    with pytest.raises(AirflowFailException, match="no capacity"):
        TaskRun().of(sensor())


def test_throttled_looks_do_not_end_the_wait(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """What passes is waited out."""
    refusals = iter([None, AwsSays("ThrottlingException", "Rate exceeded"), AwsSays("InternalFailure", "", 500)])
    endpoint.goes_through(("Updating", "old"), ("InService", "new"))

    def describe(**request: Any) -> dict[str, Any]:
        refusal = next(refusals, None)
        if refusal:
            raise refusal
        return endpoint.describe(**request)

    aws.on("DescribeEndpoint", describe)
    assert TaskRun().of(sensor())["endpoint_config_name"] == "new"


def test_a_forbidden_look_ends_the_wait(aws: FakeAws, endpoint: FakeEndpoint) -> None:
    """What will not pass is said at once, with AWS's words."""
    answers = iter([("Updating", "old")])

    def describe(**_: Any) -> dict[str, Any]:
        for state in answers:
            endpoint.exists(*state)
            return endpoint.describe()
        raise AwsSays("AccessDeniedException", "not authorized to perform sagemaker:DescribeEndpoint")

    aws.on("DescribeEndpoint", describe)
    with pytest.raises(AirflowFailException, match="not authorized"):
        TaskRun().of(sensor())


def test_name_and_configuration_can_be_given_apart(endpoint: FakeEndpoint) -> None:
    """The sensor also watches what another tool deployed."""
    endpoint.exists("InService", "new")
    assert TaskRun().of(sensor(endpoint="iris", endpoint_config_name="new"))["endpoint_name"] == "iris"


@pytest.mark.parametrize(
    ("endpoint_parameter", "message"),
    [("iris", "endpoint_config_name"), ({}, "endpoint: got"), (None, "endpoint: got")],
)
def test_without_a_configuration_to_expect_nothing_is_waited_for(
    aws: FakeAws, endpoint_parameter: Any, message: str
) -> None:
    """A name alone would let a rollback pass."""
    with pytest.raises(AirflowFailException, match=message):
        TaskRun().of(sensor(endpoint=endpoint_parameter))
    assert aws.asked("DescribeEndpoint") == []


def test_the_timeout_is_the_users_and_is_explained(endpoint: FakeEndpoint) -> None:
    """The message says that the deployment goes on."""
    endpoint.exists("Updating", "old")
    waiting = sensor(timeout=90)
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute(TaskRun().context)
    assert deferral.value.timeout == timedelta(seconds=90)
    with pytest.raises(AirflowSensorTimeout, match=r"0:01:30 .timeout.*goes on"):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, TaskRun().context)
