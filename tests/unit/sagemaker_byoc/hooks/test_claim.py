"""The queue of an endpoint, as its calls make it on AWS."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sagemaker_byoc.claim import FORGOTTEN_AFTER, OVER_TAG, Contender, Turn, claim_name
from sagemaker_byoc.errors import EndpointClaimError, RequestError, SmokeTestError
from sagemaker_byoc.hooks.claim import ClaimHook, held_until_tested, holder_of
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.run import RunIdentity
from tests.support.airflow_pipe import runs_are
from tests.support.fake_aws import AwsSays, fake_aws
from tests.support.fake_configs import BEGIN, FakeConfigs
from tests.support.staged import Stage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.fake_aws import FakeAws

LOG = mock.Mock()
CONNECTION = AwsConnection(aws_conn_id=None)
HOOK = ClaimHook(CONNECTION, "iris")
VARIANT = {"VariantName": "AllTraffic", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


@pytest.fixture
def configs(aws: FakeAws) -> FakeConfigs:
    """An account without endpoint configurations."""
    return FakeConfigs(aws)


@pytest.fixture
def runs() -> Iterator[dict[str, Any]]:
    """States of the DAG runs, by their id."""
    states: dict[str, Any] = {}
    with runs_are(states):
        yield states


def identity(run_id: str) -> RunIdentity:
    """Return the task of a run that deploys."""
    return RunIdentity("retrain", run_id, "create_endpoint")


def contender(run_id: str, data_date: str = "2026-01-01") -> Contender:
    """Return a run that wants the endpoint."""
    run = identity(run_id)
    return Contender.of("iris", holder_of(run), {"ProductionVariants": [VARIANT]}, run.tags(), data_date)


def attempt(run_id: str) -> int | None:
    """Look once as a run that has just come, and take the endpoint if it may."""
    wanted = contender(run_id)
    return HOOK.attempt(wanted, Turn(wanted), LOG)


def test_a_free_endpoint_is_taken(aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """Two lists and one configuration; a second run does not get it meanwhile, and no call is wasted on trying."""
    runs["one"] = "running"
    assert attempt("one") == 1
    assert [name for name, _ in aws.calls if not name.startswith("Delete")] == [
        "ListEndpointConfigs",
        "CreateEndpointConfig",
        "ListEndpointConfigs",
    ]
    assert configs.names == [claim_name("iris", 1)]
    assert attempt("two") is None
    assert len(aws.asked("CreateEndpointConfig")) == 1
    standing = HOOK.look()
    assert standing.holder is not None
    assert (standing.holder.dag_id, standing.holder.run_id) == ("retrain", "one")


def test_what_is_given_back_can_be_taken(configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """By the next number; of the earlier claims nothing is left when that is given back."""
    runs |= {"one": "running", "two": "running"}
    assert attempt("one") == 1
    HOOK.give_back(contender("one").key)
    assert attempt("two") == 2
    HOOK.give_back(contender("two").key)
    assert configs.names == [claim_name("iris", 2)]


def test_only_the_runs_own_claim_is_given_back(configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """A smoke test without a claim, such as one that was cleared alone, only tests."""
    runs["one"] = "running"
    attempt("one")
    HOOK.give_back(contender("another").key)
    assert configs.claims() == [contender("one").key]


@pytest.mark.parametrize("state", ["success", "failed", "queued"])
def test_the_claim_of_a_run_that_does_not_run_is_taken_over(
    configs: FakeConfigs, runs: dict[str, Any], state: str
) -> None:
    """A worker that died cannot give anything back; a run that was cleared may have to wait for the one that asks."""
    runs["one"] = "running"
    attempt("one")
    runs["one"] = state
    assert attempt("two") == 2


def test_a_run_that_goes_on_keeps_its_claim_for_ever(aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """Its age does not count, since Airflow says what it does."""
    runs["one"] = "running"
    attempt("one")
    aws.date = BEGIN + 10 * FORGOTTEN_AFTER
    assert attempt("two") is None


@pytest.mark.parametrize("run_id", ["manual~1", "a=b", "montag für alle", "x" * 250])
def test_a_run_is_asked_for_by_its_very_id(configs: FakeConfigs, runs: dict[str, Any], run_id: str) -> None:
    """Ids may hold what a tag may not, and Airflow knows no run by another id."""
    runs[run_id] = "running"
    attempt(run_id)
    runs[run_id] = "failed"
    assert attempt("two") == 2


def test_a_run_that_airflow_does_not_know_keeps_its_claim_for_half_a_day(
    aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any]
) -> None:
    """By AWS's clock, which the claim's age is by, too."""
    attempt("elsewhere")
    made = BEGIN + timedelta(seconds=1)
    aws.date = made + FORGOTTEN_AFTER
    assert attempt("two") is None
    aws.date = made + FORGOTTEN_AFTER + timedelta(seconds=1)
    assert attempt("two") == 2


def test_another_airflow_may_have_the_same_runs(
    aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a run of the same id does here says nothing about that one, whose claim is left alone for half a day."""
    aws.date = BEGIN
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://blue.example.com")
    runs["one"] = "running"
    assert attempt("one") == 1
    monkeypatch.setenv("AIRFLOW__API__BASE_URL", "https://green.example.com")
    assert attempt("one") is None
    HOOK.give_back(contender("one").key)
    runs["one"] = "failed"
    assert attempt("two") is None
    standing = HOOK.look()
    assert standing.holder is not None
    assert standing.holder.airflow == "https://blue.example.com"
    aws.date = BEGIN + FORGOTTEN_AFTER + timedelta(seconds=2)
    assert attempt("two") == 2


def test_a_retry_makes_the_claim_its_own_again(configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """By a further number, so that who takes it for left behind at that moment and the retry meet in one name."""
    runs["one"] = "running"
    assert attempt("one") == 1
    assert attempt("one") == 2
    assert attempt("two") is None


def test_a_lost_race_is_no_claim(configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """Both have seen the endpoint free; the name goes to one."""
    standing = HOOK.look()
    assert HOOK.take(contender("one"), standing) == 1
    assert HOOK.take(contender("two"), standing) is None


def test_a_call_that_comes_late_takes_nothing(configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """Its number was free again, since others have had their turns, given back and tidied up meanwhile."""
    runs |= {"one": "running", "two": "running", "three": "running"}
    long_ago = HOOK.look()
    for run_id in ("one", "two"):
        attempt(run_id)
        HOOK.give_back(contender(run_id).key)
    attempt("three")
    assert HOOK.take(contender("late"), long_ago) is None
    assert HOOK.look().is_held_with(3, contender("three").key)


def test_an_answer_that_was_lost_costs_nothing(aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """The claim was made, but its run was told that the name is taken: the next look says by whom."""
    runs["one"] = "running"

    def create(**request: Any) -> dict[str, Any]:
        configs.create(**request)
        return configs.create(**request)

    aws.on("CreateEndpointConfig", create)
    assert attempt("one") is None
    aws.on("CreateEndpointConfig", configs.create)
    assert attempt("one") == 2


def test_a_claim_that_goes_between_two_calls_is_looked_at_again(
    aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any]
) -> None:
    """It was the latest when the list was made."""
    attempt("one")
    aws.on("ListTags", AwsSays("ValidationException", "Requested resource not found."))
    assert attempt("two") is None


def test_who_takes_the_endpoint_takes_down_the_tickets_before_it(configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """They have had their grace; those behind it stay."""
    now = [0.0]
    first, second, third = (contender(str(day), f"2026-01-0{day}") for day in (3, 2, 1))
    for each in (third, second, first):
        HOOK.line_up(each)
    turn = Turn(second, lambda: now[0])
    assert HOOK.attempt(second, turn, LOG) is None
    now[0] = 15.0
    assert HOOK.attempt(second, turn, LOG) == 1
    assert configs.tickets() == [third.ticket]


def test_who_gives_up_leaves_neither_ticket_nor_claim(configs: FakeConfigs, runs: dict[str, Any]) -> None:
    """So that nobody waits for it."""
    runs["one"] = "running"
    attempt("one")
    HOOK.line_up(contender("one"))
    HOOK.give_up(contender("one"))
    assert (configs.tickets(), configs.claims()) == ([], [])


DENIED = AwsSays("AccessDeniedException", "User: me is not authorized to perform this action.")


@pytest.mark.parametrize("operation", ["ListEndpointConfigs", "CreateEndpointConfig", "ListTags"])
def test_a_call_that_is_denied_is_named(
    aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any], operation: str
) -> None:
    """With what to allow, and the way to do without."""
    runs["one"] = "running"
    if operation == "ListTags":
        attempt("one")
    aws.on(operation, DENIED)
    with pytest.raises(EndpointClaimError, match=rf"not authorized.*sagemaker:{operation} .*exclusive=False"):
        attempt("two")


@pytest.mark.parametrize("operation", ["ListEndpointConfigs", "AddTags", "DeleteEndpointConfig"])
def test_giving_back_never_fails(
    aws: FakeAws, configs: FakeConfigs, runs: dict[str, Any], operation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A verdict is worth more; the end of the run gives back, too."""
    runs["one"] = "running"
    attempt("one")
    attempt("one")
    aws.on(operation, DENIED)
    HOOK.give_back(contender("one").key)
    assert "not authorized" in caplog.text


def judged(error: BaseException | None) -> None:
    """Be a smoke test that ends like this."""
    with held_until_tested(CONNECTION, identity("one"), "iris"):
        if error is not None:
            raise error


@pytest.mark.parametrize(
    ("error", "kept"),
    [
        (None, False),
        (SmokeTestError("bad, and gone", put_back=True), False),
        (SmokeTestError("bad, and live"), True),
        (RequestError("records", "x", "y"), True),
        (ConnectionError("no route"), True),
        (SystemExit(), True),
    ],
)
def test_a_claim_is_kept_until_the_model_is_proven_or_gone(
    configs: FakeConfigs, runs: dict[str, Any], error: BaseException | None, kept: bool
) -> None:
    """Else the next run would take a model that nobody has tested for its way back."""
    runs["one"] = "running"
    attempt("one")
    if error is None:
        judged(None)
    else:
        with pytest.raises(type(error)):
            judged(error)
    assert bool(configs.claims()) is kept


@pytest.mark.parametrize("error", [None, SmokeTestError("bad", put_back=True)])
def test_a_claim_that_another_task_needs_is_kept_after_a_success(
    configs: FakeConfigs, runs: dict[str, Any], error: SmokeTestError | None
) -> None:
    """A rollback that is through ends the matter for that task, too."""
    runs["one"] = "running"
    attempt("one")
    with contextlib.suppress(SmokeTestError), held_until_tested(CONNECTION, identity("one"), "iris", goes_on=True):
        if error is not None:
            raise error
    assert bool(configs.claims()) is (error is None)


class Account:
    """Runs that deploy to one endpoint at the same time, step by step.

    :param inside: runs that have the endpoint to themselves
    :param turns: runs in the order in which they had it
    """

    def __init__(self, aws: FakeAws) -> None:
        self.stage = Stage()
        self.configs = FakeConfigs(aws, before_call=self.stage.gate)
        self.states: dict[str, Any] = {}
        self.inside: list[str] = []
        self.turns: list[str] = []
        self.seconds = 0.0

    def deploy(self, run_id: str, *, crashes: int) -> None:
        """Deploy as a run that is left to die and cleared again some times before it gets to its end."""
        for life in range(crashes + 1):
            self.states[run_id] = "running"
            number = self._wait_for_turn(contender(run_id))
            self.inside.append(run_id)
            self.turns.append(run_id)
            assert self.inside == [run_id]
            assert HOOK.look().is_held_with(number, contender(run_id).key)
            assert self.inside == [run_id]
            self.inside.remove(run_id)
            if life < crashes:
                self.states[run_id] = "failed"
                self.stage.gate()
        HOOK.give_back(contender(run_id).key)
        self.states[run_id] = "success"

    def _wait_for_turn(self, wanted: Contender) -> int:
        turn = Turn(wanted, self._clock)
        while (number := HOOK.attempt(wanted, turn, LOG)) is None:
            HOOK.line_up(wanted)
        return number

    def _clock(self) -> float:
        self.seconds += 1.0
        return self.seconds


@given(order=st.lists(st.integers(0, 2), max_size=150), crashes=st.tuples(*[st.integers(0, 1)] * 3))
@example(order=[0, 0] + [1] * 200, crashes=(0, 0, 0))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_two_runs_never_have_the_endpoint_at_once(order: list[int], crashes: tuple[int, int, int]) -> None:
    """Whatever the order of calls, with runs that end without a word and come back; and all get their turn."""
    with fake_aws() as aws:
        account = Account(aws)
        with runs_are(account.states):
            CONNECTION.client("sagemaker")
            for number, each in enumerate(crashes):
                account.stage.enter(lambda number=number, each=each: account.deploy(f"run-{number}", crashes=each))  # type: ignore[misc]
            account.stage.play(order)
    assert account.stage.failures == []
    assert len(account.turns) == 3 + sum(crashes)
    assert account.configs.claims() == []
    assert [OVER_TAG in tags for tags in account.configs.tags.values()] == [True]
