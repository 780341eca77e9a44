"""The wait for a run's turn inside the triggerer, over minutes that pass in a moment."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.claim import GRACE_SECONDS, Contender, run_key
from sagemaker_byoc.hooks.claim import ClaimHook
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.triggers.claim import EndpointClaimTrigger
from tests.support.airflow_pipe import runs_are
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_configs import BEGIN, FakeConfigs
from tests.support.task_run import remade
from tests.support.virtual_time import run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterator

CONNECTION = AwsConnection(aws_conn_id=None)
HOOK = ClaimHook(CONNECTION, "iris")
INTERVAL_SECONDS = 5.0
VARIANT = {"VariantName": "AllTraffic", "ModelName": "m", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}


@pytest.fixture(autouse=True)
def hurried_watch() -> None:
    """Keep the true pace: here time costs nothing."""


@pytest.fixture
def configs(aws: FakeAws) -> Iterator[FakeConfigs]:
    """An endpoint that a run has to itself, in an Airflow whose runs all go on."""
    aws.date = BEGIN
    configs = FakeConfigs(aws)
    with runs_are(dict.fromkeys(["holder", *map(run_of, range(60))], "running")):
        assert HOOK.take(contender("holder"), HOOK.look()) == 1
        yield configs


def run_of(day: int) -> str:
    """Return the run of a day's data."""
    return f"day-{day}"


def contender(run_id: str, day: int = 0) -> Contender:
    """Return a run that wants the endpoint."""
    tags = [{"Key": "airflow:dag_id", "Value": "retrain"}, {"Key": "airflow:run_id", "Value": run_id}]
    date = f"2026-01-{day:02d}" if day else None
    return Contender.of("iris", run_key("retrain", run_id), {"ProductionVariants": [VARIANT]}, tags, date)


class Waits:
    """Waits in one triggerer: when each had its turn, in seconds since the begin."""

    def __init__(self) -> None:
        self.turns: dict[int, float] = {}
        self.events: dict[int, Any] = {}
        self._began_at = asyncio.get_running_loop().time()

    def begin(self, *days: int) -> list[asyncio.Task[None]]:
        """Line up and wait, as the runs of these days."""
        return [asyncio.create_task(self._wait(day)) for day in days]

    async def _wait(self, day: int) -> None:
        wanted = contender(run_of(day), day % 28 + 1)
        HOOK.line_up(wanted)
        event = await fired(trigger(wanted))
        self.turns[day], self.events[day] = asyncio.get_running_loop().time() - self._began_at, event
        HOOK.give_back(wanted.key)


def trigger(wanted: Contender) -> EndpointClaimTrigger:
    """Make the trigger as the triggerer does, from what the database keeps of it."""
    made: EndpointClaimTrigger = remade(
        EndpointClaimTrigger(
            contender=wanted.as_json(), connection=CONNECTION.serialize(), poll_interval_seconds=INTERVAL_SECONDS
        )
    )
    return made


async def fired(trigger: EndpointClaimTrigger) -> Any:
    """Return the payload of the trigger's event."""
    async for event in trigger.run():
        return event.payload
    raise AssertionError("the trigger ended without an event")


def in_triggerer(main: Coroutine[Any, Any, None]) -> None:
    """Run it in a loop whose time costs nothing, until what it has cancelled is over, too."""

    async def whole() -> None:
        await main
        await asyncio.sleep(1)

    run_in_virtual_time(whole())


def test_waits_for_one_endpoint_share_their_looks(aws: FakeAws, configs: FakeConfigs) -> None:
    """Fifty cost what one does: two calls every five seconds, or up to a fifth less."""

    async def wait() -> None:
        waiting = Waits().begin(*range(50))
        await asyncio.sleep(600)
        for each in waiting:
            each.cancel()

    in_triggerer(wait())
    for operation in ("ListEndpointConfigs", "ListTags"):
        # 51 tickets take 27 pages of the two that there are on one here.
        lists = [each for each in aws.asked(operation) if "NextToken" not in each]
        assert 118 <= len(lists) <= 155


def test_the_newest_data_have_their_turn_first(configs: FakeConfigs) -> None:
    """One after another, each a look or two after the one before has given the endpoint back."""
    waits: list[Waits] = []

    async def wait() -> None:
        waits.append(Waits())
        waiting = waits[0].begin(3, 1, 4, 2)
        await asyncio.sleep(60)
        assert not waits[0].turns
        HOOK.give_back(contender("holder").key)
        await asyncio.gather(*waiting)

    in_triggerer(wait())
    assert list(waits[0].turns) == [4, 3, 2, 1]
    assert waits[0].events[4] == {"claim": 2}
    assert max(waits[0].turns.values()) <= 60 + 5 * INTERVAL_SECONDS
    assert configs.tickets() == []


def test_a_ticket_that_a_crash_left_behind_costs_one_grace(configs: FakeConfigs) -> None:
    """It is taken down by whoever did without it, so that the next one does not wait for it, too."""
    waits: list[Waits] = []

    async def wait() -> None:
        HOOK.line_up(contender("crashed", 28))
        HOOK.give_back(contender("holder").key)
        waits.append(Waits())
        await asyncio.gather(*waits[0].begin(1, 2))

    in_triggerer(wait())
    assert list(waits[0].turns) == [2, 1]
    assert GRACE_SECONDS <= waits[0].turns[2] <= GRACE_SECONDS + INTERVAL_SECONDS
    assert waits[0].turns[1] <= GRACE_SECONDS + 2 * INTERVAL_SECONDS
    assert configs.tickets() == []


def test_a_triggerer_that_died_after_it_took_the_endpoint_has_it(configs: FakeConfigs) -> None:
    """The event was lost, the claim was not."""

    async def wait() -> None:
        assert await fired(trigger(contender("holder"))) == {"claim": 2}

    in_triggerer(wait())


def test_what_passes_is_waited_out(aws: FakeAws, configs: FakeConfigs, capsys: pytest.CaptureFixture[str]) -> None:
    """Of looks and of the taking itself; each wait is told."""
    listed, created = configs.listed, configs.create
    throttled = iter([AwsSays("ThrottlingException", "Rate exceeded")] * 4)

    def sometimes(answer: Any) -> Any:
        def call(**request: Any) -> Any:
            for refusal in throttled:
                raise refusal
            return answer(**request)

        return call

    async def wait() -> None:
        HOOK.give_back(contender("holder").key)
        aws.on("ListEndpointConfigs", sometimes(listed))
        assert await fired(trigger(contender(run_of(1), 1))) == {"claim": 2}
        HOOK.give_back(contender(run_of(1)).key)
        nonlocal throttled
        throttled = iter([AwsSays("ThrottlingException", "Rate exceeded")])
        aws.on("ListEndpointConfigs", listed)
        aws.on("CreateEndpointConfig", sometimes(created))
        assert await fired(trigger(contender(run_of(2), 2))) == {"claim": 3}

    in_triggerer(wait())
    told = capsys.readouterr().out
    assert "Look 4 in a row failed" in told
    assert "could not be taken" in told


@pytest.mark.parametrize("operation", ["ListEndpointConfigs", "CreateEndpointConfig"])
def test_what_lasts_ends_the_wait(aws: FakeAws, configs: FakeConfigs, operation: str) -> None:
    """The task fails with AWS's words and with what to allow; a later wait looks again."""

    async def wait() -> None:
        HOOK.give_back(contender("holder").key)
        aws.on(operation, AwsSays("AccessDeniedException", "not authorized"))
        for _ in range(2):
            event = await fired(trigger(contender(run_of(1), 1)))
            assert f"sagemaker:{operation}" in event["claim_error"]

    in_triggerer(wait())


def test_the_log_says_once_whose_the_endpoint_is(configs: FakeConfigs, capsys: pytest.CaptureFixture[str]) -> None:
    """And again when another run has it."""

    async def wait() -> None:
        waiting = Waits().begin(1)
        await asyncio.sleep(60)
        assert capsys.readouterr().out.count("Run holder of retrain") == 1
        HOOK.take(contender(run_of(9), 9), HOOK.look())
        await asyncio.sleep(60)
        assert capsys.readouterr().out.count(f"Run {run_of(9)} of retrain") == 1
        waiting[0].cancel()

    in_triggerer(wait())
