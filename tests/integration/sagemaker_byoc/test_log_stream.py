"""The log of a training job that really runs on the local AWS, told while somebody waits for it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.log_follower import LogFollower
from sagemaker_byoc.training_log import output_ended_at_ms
from sagemaker_byoc.triggers.log_stream import follow_log
from tests.support.line_log import LineLog
from tests.support.local_cloud import local_cloud
from tests.support.operator_cloud import operators_reach
from tests.support.training import TrainingAccount, wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LINES = 40
WRITES = f"""
for index in range({LINES}): print(f"line {{index}}", flush=True)
print("validation_accuracy=0.93", flush=True)
while not (base / "go").exists(): time.sleep(0.01)
print("the last words", flush=True)
"""
EXPECTED = [
    *(f"algo-1: line {index}" for index in range(LINES)),
    "algo-1 [validation:accuracy=0.93]: validation_accuracy=0.93",
    "algo-1: the last words",
]
METRICS = [{"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TrainingAccount]:
    """One local AWS for the tests of this module."""
    with local_cloud(tmp_path_factory.mktemp("cloud"), stop_grace_seconds=1.0) as cloud, operators_reach(cloud):
        yield TrainingAccount(cloud)


def started(account: TrainingAccount) -> str:
    """Start a job that prints, waits until it may go on, and prints its last words."""
    return account.create(WRITES, algorithm={"MetricDefinitions": METRICS})


def let_go(account: TrainingAccount, name: str) -> None:
    """Let the program write its last words."""
    directory: Path = next(launch.ml_dir for launch in account.cloud.engine.launches if name in str(launch.ml_dir))  # type: ignore[attr-defined]
    (directory / "go").touch()


def test_each_line_is_told_once_and_in_order_to_its_end(account: TrainingAccount) -> None:
    """Lines come while the job runs, the last words after its end, and the metric is marked."""
    name = started(account)
    log = LineLog()

    async def wait() -> None:
        description = await asyncio.to_thread(account.describe, name)
        definitions = description["AlgorithmSpecification"]["MetricDefinitions"]
        connection = AwsConnection(None)
        async with follow_log(connection, name, definitions, since=description["CreationTime"], log=log.log) as follow:
            await asyncio.to_thread(wait_for, lambda: len(log.lines) == LINES + 1)
            let_go(account, name)
            ended = await asyncio.to_thread(account.finish, name)
            await follow.finish(output_ended_at_ms(ended))

    asyncio.run(wait())
    assert log.lines == EXPECTED


def test_many_jobs_that_are_followed_together_do_not_mix(account: TrainingAccount) -> None:
    """Each of six waits tells its own job's lines and no other's."""
    names = [started(account) for _ in range(6)]

    async def wait(name: str) -> list[str]:
        log = LineLog()
        description = await asyncio.to_thread(account.describe, name)
        created = description["CreationTime"]
        async with follow_log(AwsConnection(None), name, METRICS, since=created, log=log.log) as follow:
            await asyncio.to_thread(wait_for, lambda: len(account.log(name)) > LINES)
            let_go(account, name)
            ended = await asyncio.to_thread(account.finish, name)
            await follow.finish(output_ended_at_ms(ended))
        return log.lines

    async def all_waits() -> list[list[str]]:
        return await asyncio.gather(*map(wait, names))

    assert asyncio.run(all_waits()) == [EXPECTED] * len(names)


def test_a_wait_on_a_worker_tells_the_same(account: TrainingAccount) -> None:
    """The blocking follower reads between two looks and once more at the end."""
    name = started(account)
    log = LineLog()
    since: Any = account.describe(name)["CreationTime"]
    follower = LogFollower(AwsConnection(None), name, METRICS, since=since, log=log.log)
    wait_for(lambda: len(account.log(name)) > LINES)
    follower.read()
    assert len(log.lines) == LINES + 1
    let_go(account, name)
    follower.finish(output_ended_at_ms(account.finish(name)))
    assert log.lines == EXPECTED
