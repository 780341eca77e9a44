"""Runs that deploy to one endpoint one after another, seen from the requests that reach AWS."""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from airflow.sdk.exceptions import (
    AirflowFailException,
    AirflowSkipException,
    AirflowTaskTimeout,
    TaskDeferralTimeout,
    TaskDeferred,
)

from sagemaker_byoc.claim import claim_name, run_key, ticket_name
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.claim import ClaimHook
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.operators.endpoint import CreateEndpointOperator
from sagemaker_byoc.operators.smoke_test import InvokeSmokeTestOperator
from tests.support.fake_aws import AwsSays
from tests.support.fake_configs import BEGIN, FakeConfigs
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.fake_aws import FakeAws

HOOK = ClaimHook(AwsConnection(aws_conn_id=None), "iris")
MONDAY, TUESDAY = (TaskRun(run_id=day, logical_date=BEGIN + timedelta(days=n)) for n, day in enumerate(("mon", "tue")))
FIRST, SECOND, THIRD = (claim_name("iris", number) for number in (1, 2, 3))


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeEndpoint:
    """The endpoint ``iris``, which does not exist yet."""
    return FakeEndpoint(aws)


@pytest.fixture
def configs(aws: FakeAws, endpoint: FakeEndpoint) -> FakeConfigs:
    """The account's configurations, none as yet."""
    aws.date = BEGIN
    return FakeConfigs(aws)


def operator(**changes: Any) -> CreateEndpointOperator:
    """Make the operator as a DAG would."""
    settings: dict[str, Any] = {
        "endpoint_name": "iris",
        "model_name": "model-1",
        "config": {"ProductionVariants": [{"InstanceType": "ml.m5.large", "InitialInstanceCount": "1"}]},
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
    }
    return CreateEndpointOperator(task_id="create_endpoint", **{**settings, **changes})


def key(run: TaskRun) -> str:
    """Return what a run's claims are known by."""
    return run_key("retrain", run.run_id)


def after(calls: int, configs: FakeConfigs, happens: Callable[[], object]) -> None:
    """Let something happen after so many more looks at the queue."""
    looks = iter(range(calls))

    def listed(**request: Any) -> dict[str, Any]:
        if next(looks, None) is None:
            configs.aws.on("ListEndpointConfigs", configs.listed)
            happens()
        return configs.listed(**request)

    configs.aws.on("ListEndpointConfigs", listed)


def in_service(endpoint: FakeEndpoint, config: str) -> None:
    """Let the endpoint serve a configuration, which keeps its tags."""
    endpoint.exists("InService", config, keep_tags=True)


def test_a_deployment_keeps_the_endpoint_to_itself(aws: FakeAws, configs: FakeConfigs) -> None:
    """Beyond its task, since the smoke test is yet to come."""
    replace(MONDAY).of(operator())
    assert configs.claims() == [key(MONDAY)]
    [claim, deployed] = aws.asked("CreateEndpointConfig")
    assert claim["EndpointConfigName"] == FIRST
    assert claim["ProductionVariants"] == deployed["ProductionVariants"]
    names = [name for name, _ in aws.calls]
    assert names.index("CreateEndpointConfig") < names.index("DescribeEndpoint")
    assert {"Key": "data_date", "Value": "2026-01-01T00:00:00+00:00"} in claim["Tags"]


def test_a_wait_on_a_worker_needs_an_end() -> None:
    """It may hold the slot that the smoke test it waits for needs; the DAG does not even load."""
    with pytest.raises(RequestError, match=r"execution_timeout: got None; allowed is .* when deferrable is False"):
        operator(deferrable=False)
    for changes in ({"execution_timeout": timedelta(hours=1)}, {"exclusive": False}):
        assert not operator(deferrable=False, **changes).deferrable


@pytest.mark.parametrize("deferrable", [True, False])
def test_another_run_waits_until_it_is_given_back(
    aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs, deferrable: bool
) -> None:
    """In the triggerer or on the worker; its ticket is up meanwhile and down afterwards."""
    live = replace(MONDAY).of(operator())["endpoint_config_name"]
    in_service(endpoint, live)
    tickets: list[list[str]] = []

    def give_back() -> None:
        tickets.append(configs.tickets())
        HOOK.give_back(key(MONDAY))

    after(3, configs, give_back)
    tuesday = replace(TUESDAY, deferrals=[])
    limit = timedelta(hours=1)
    result = tuesday.of(operator(model_name="model-2", deferrable=deferrable, execution_timeout=limit))
    assert (result["operation"], result["previous_endpoint_config_name"]) == ("update", live)
    assert len(tuesday.deferrals) == int(deferrable)
    assert [len(each) for each in tickets] == [1]
    assert configs.tickets() == []
    assert configs.claims() == [key(TUESDAY)]
    assert len(aws.asked("UpdateEndpoint")) == 1


def test_older_data_are_judged_by_what_is_live_when_the_turn_has_come(
    aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs
) -> None:
    """The newer model came while the run waited; it deploys nothing, and nobody waits for it."""
    live = replace(TUESDAY).of(operator())["endpoint_config_name"]

    def newer_is_proven() -> None:
        in_service(endpoint, live)
        HOOK.give_back(key(TUESDAY))

    after(2, configs, newer_is_proven)
    with pytest.raises(AirflowSkipException, match="trained on newer data"):
        replace(MONDAY, deferrals=[]).of(operator(model_name="model-2"))
    assert (configs.tickets(), configs.claims()) == ([], [])
    assert aws.asked("UpdateEndpoint") == []


def test_a_failure_for_good_gives_the_endpoint_back(aws: FakeAws, configs: FakeConfigs) -> None:
    """The next run need not wait until the whole run is over."""
    aws.on("CreateEndpoint", AwsSays("ValidationException", "Something is not valid."))
    with pytest.raises(AirflowFailException, match="not valid"):
        replace(MONDAY).of(operator())
    assert configs.claims() == []


def timed_out(**_: Any) -> Any:
    """Answer nothing until the time limit is over."""
    raise AirflowTaskTimeout("Timeout")


def test_a_time_limit_during_the_update_keeps_the_endpoint(
    aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs
) -> None:
    """AWS may have taken the update, and not show it yet: the next run would deploy over an untested model."""
    in_service(endpoint, "live")
    configs.create(EndpointConfigName="live")
    aws.on("UpdateEndpoint", timed_out)
    with pytest.raises(AirflowTaskTimeout):
        replace(MONDAY).of(operator(require_way_back=False))
    assert configs.claims() == [key(MONDAY)]


def test_a_time_limit_before_the_update_gives_the_endpoint_back(
    aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs
) -> None:
    """Nothing of this run's serves, and others need not wait for its end."""
    in_service(endpoint, "live")
    configs.create(EndpointConfigName="live")

    def look(**_: Any) -> Any:
        aws.on("DescribeEndpoint", endpoint.describe)
        raise AirflowTaskTimeout("Timeout")

    aws.on("DescribeEndpoint", look)
    with pytest.raises(AirflowTaskTimeout):
        replace(MONDAY).of(operator())
    assert configs.claims() == []


HAS_BEGUN = [
    ("Updating", "live", True, "CreateEndpointConfig"),
    ("InService", "{new}", True, "CreateEndpointConfig"),
    ("InService", "both", True, "CreateEndpointConfig"),
    ("InService", "live", False, "CreateEndpointConfig"),
    ("Deleting", "live", True, "DescribeEndpoint"),
]


@pytest.mark.parametrize(("status", "live", "kept", "denied"), HAS_BEGUN)
def test_who_gives_up_keeps_the_endpoint_where_its_model_is(
    aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs, status: str, live: str, kept: bool, denied: str
) -> None:
    """As the live configuration, on its way or beside the earlier one, and where nobody can tell; its ticket goes."""
    new = replace(MONDAY).of(operator())["endpoint_config_name"]
    configs.create(EndpointConfigName="both", Tags=[{"Key": "candidate_for", "Value": new}])
    configs.create(EndpointConfigName="live")
    pending = new if status == "Updating" else None
    endpoint.exists(status, live.format(new=new), pending=pending, keep_tags=True)
    ticket = ticket_name("iris", "2026-01-01T00:00:00+00:00", key(MONDAY))
    configs.create(EndpointConfigName=ticket)
    aws.on(denied, AwsSays("AccessDeniedException", "not authorized"))
    with pytest.raises(AirflowFailException, match="broke off"):
        operator().execute_complete(replace(MONDAY).context, {"error": "broke off"}, None, 1)
    assert configs.tickets() == []
    assert configs.claims() == [key(MONDAY)] * kept


def test_a_failure_that_passes_keeps_it_for_the_retry(
    aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs
) -> None:
    """The retry goes on at once, and needs no turn of its own."""
    aws.on("CreateEndpoint", AwsSays("ServiceUnavailable", "Try again.", 503))
    with pytest.raises(Exception, match="Try again"):
        replace(MONDAY).of(operator())
    assert configs.claims() == [key(MONDAY)]
    aws.on("CreateEndpoint", endpoint.create)
    again = replace(MONDAY, try_number=2, deferrals=[])
    assert again.of(operator())["operation"] == "create"
    assert again.deferrals == []


def test_an_endpoint_that_is_busy_all_the_same_is_waited_for_with_the_claim(
    aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs
) -> None:
    """Somebody deploys by other means; the claim is looked at again afterwards, and not made anew."""
    endpoint.goes_through(("Updating", "other"), ("Updating", "other"), ("InService", "other"))
    configs.create(EndpointConfigName="other")
    run = replace(MONDAY, deferrals=[])
    assert run.of(operator())["operation"] == "update"
    assert len(run.deferrals) == 1
    assert [name for name in configs.names if "-claim-" in name] == [FIRST]


def test_a_wait_for_a_busy_endpoint_that_breaks_off_gives_it_back(endpoint: FakeEndpoint, configs: FakeConfigs) -> None:
    """The trigger gives up only where no further look would succeed."""
    endpoint.exists("Updating", "other", keep_tags=True)
    with pytest.raises(TaskDeferred):
        operator().execute(replace(MONDAY).context)
    with pytest.raises(AirflowFailException, match="not authorized"):
        operator().execute_complete(replace(MONDAY).context, {"error": "not authorized"}, None, 1)
    assert configs.claims() == []


def test_a_claim_that_was_taken_away_is_waited_for_again(endpoint: FakeEndpoint, configs: FakeConfigs) -> None:
    """A person marked the run failed and cleared it: by now another run has the endpoint."""
    endpoint.exists("Updating", "other", keep_tags=True)
    with pytest.raises(TaskDeferred) as busy:
        operator().execute(replace(MONDAY).context)
    assert (busy.value.kwargs or {})["claim"] == 1
    configs.create(EndpointConfigName=SECOND, Tags=[{"Key": "claim_holder", "Value": "another"}])
    with pytest.raises(TaskDeferred) as queued:
        operator().execute_complete(replace(MONDAY).context, {"look": None}, None, 1)
    assert type(queued.value.trigger).__name__ == "EndpointClaimTrigger"


def waiting_for_tuesday(configs: FakeConfigs, **changes: Any) -> tuple[CreateEndpointOperator, TaskDeferred]:
    """Let a run wait behind another one."""
    replace(TUESDAY).of(operator())
    waiting = operator(**changes)
    with pytest.raises(TaskDeferred) as deferral:
        waiting.execute(replace(MONDAY).context)
    assert len(configs.tickets()) == 1
    return waiting, deferral.value


def test_the_wait_for_a_turn_counts_towards_the_execution_timeout(configs: FakeConfigs) -> None:
    """All waits together are bounded by it; who gives up takes its ticket down."""
    waiting, deferral = waiting_for_tuesday(configs, execution_timeout=timedelta(minutes=10))
    assert timedelta(minutes=9) < deferral.timeout <= timedelta(minutes=10)
    deadline = (deferral.kwargs or {})["deadline"]
    configs.create(EndpointConfigName=SECOND, Tags=[{"Key": "claim_holder", "Value": "another"}])
    with pytest.raises(AirflowTaskTimeout, match="iris was busy"):
        waiting.execute_complete(replace(MONDAY).context, {"claim": 1}, deadline=deadline - 601)
    assert configs.tickets() == []


def test_a_wait_that_took_too_long_leaves_the_queue(configs: FakeConfigs) -> None:
    """Airflow ends the deferral; nobody waits for the ticket then."""
    waiting, _ = waiting_for_tuesday(configs)
    context = replace(MONDAY).context
    with pytest.raises(TaskDeferralTimeout):
        waiting.resume_execution("__fail__", {"error": "Trigger timeout"}, context)
    assert configs.tickets() == []
    assert configs.claims() == [key(TUESDAY)]


@pytest.mark.parametrize("operation", ["ListEndpointConfigs", "CreateEndpointConfig"])
def test_a_missing_permission_is_named_at_once(aws: FakeAws, configs: FakeConfigs, operation: str) -> None:
    """Before anything is made."""
    aws.on(operation, AwsSays("AccessDeniedException", "me is not authorized"))
    with pytest.raises(AirflowFailException, match=f"sagemaker:{operation}"):
        replace(MONDAY).of(operator())
    assert aws.asked("CreateEndpoint") == []


def test_a_wait_that_broke_off_fails_the_task(configs: FakeConfigs) -> None:
    """The trigger gives up only where no further look would succeed."""
    with pytest.raises(AirflowFailException, match="not authorized to list"):
        operator().execute_complete(replace(MONDAY).context, {"claim_error": "not authorized to list"})


def test_without_exclusiveness_there_is_no_queue(aws: FakeAws, endpoint: FakeEndpoint, configs: FakeConfigs) -> None:
    """Neither a claim nor a call about one, also when it fails."""
    replace(MONDAY).of(operator(exclusive=False))
    endpoint.goes_through(None)
    aws.on("CreateEndpoint", AwsSays("ValidationException", "Something is not valid."))
    with pytest.raises(AirflowFailException):
        replace(TUESDAY).of(operator(exclusive=False))
    assert aws.asked("ListEndpointConfigs") == []
    assert (configs.claims(), configs.tickets()) == ([], [])


@pytest.mark.parametrize("label", ["long", "wrong"])
@pytest.mark.parametrize(
    ("gives_back", "map_index", "kept"),
    [(True, -1, False), (False, -1, True), (True, 0, True)],
    ids=["the last test", "another test", "a mapped test"],
)
def test_one_test_of_several_gives_the_endpoint_back(
    aws: FakeAws, configs: FakeConfigs, gives_back: bool, map_index: int, kept: bool, label: str
) -> None:
    """The others may still be asking this run's model; mapped ones cannot tell who is last.

    After a failure without a rollback none does: the next run would take an unproven model for its way back.
    """
    replace(MONDAY).of(operator())
    aws.on("InvokeEndpoint", lambda **_: {"Body": io.BytesIO(b"long"), "ContentType": "text/csv"})
    test = InvokeSmokeTestOperator(
        task_id="smoke_test",
        endpoint_name="iris",
        records=[{"length": 9, "kind": label}],
        label_column="kind",
        gives_back=gives_back,
        aws_conn_id=None,
    )
    context = replace(MONDAY).context
    context["ti"].map_index = map_index
    with contextlib.nullcontext() if label == "long" else pytest.raises(AirflowFailException, match="not good enough"):
        test.execute(context)
    assert configs.claims() == [key(MONDAY)] * (kept or label == "wrong")


def test_a_year_has_no_more_than_one_claim_left(endpoint: FakeEndpoint, configs: FakeConfigs) -> None:
    """Each that is given back takes those before it away."""
    for day in range(5):
        run = TaskRun(run_id=f"day-{day}", logical_date=datetime(2026, 2, day + 1, tzinfo=timezone.utc))
        in_service(endpoint, run.of(operator(model_name=f"model-{day}"))["endpoint_config_name"])
        HOOK.give_back(key(run))
    assert [name for name in configs.names if "-claim-" in name] == [claim_name("iris", 5)]
