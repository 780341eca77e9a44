"""The watch that all waits of a triggerer share, over minutes that pass in a moment."""

from __future__ import annotations

import asyncio
import contextvars
from collections import Counter
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.training_job import TrainingJobHook
from sagemaker_byoc.triggers import watcher as module
from sagemaker_byoc.triggers.watcher import Budgets, Watcher, watching
from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_endpoint import FakeEndpoint
from tests.support.fake_training import FakeTraining
from tests.support.virtual_time import run_in_virtual_time

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from sagemaker_byoc.endpoint_status import EndpointLook
    from sagemaker_byoc.training_job_status import TrainingJobLook

CONNECTION = AwsConnection(aws_conn_id=None)
SETTINGS: dict[str, Any] = {"interval_seconds": 5, "event_queue_url": None}
JOB = {
    "AlgorithmSpecification": {"TrainingImage": "image", "TrainingInputMode": "File"},
    "ResourceConfig": {},
    "StoppingCondition": {},
}


@pytest.fixture(autouse=True)
def hurried_watch() -> None:
    """Keep the true pace: here time costs nothing."""


@pytest.fixture
def training(aws: FakeAws) -> FakeTraining:
    """SageMaker, where a test makes the jobs."""
    return FakeTraining(aws)


class Waits:
    """Waits on one watcher, each an asyncio task, and what they wrote."""

    def __init__(self, training: FakeTraining) -> None:
        self._training = training
        began_at = asyncio.get_running_loop().time()
        self.clock: Callable[[], float] = lambda: asyncio.get_running_loop().time() - began_at
        self.watcher: Watcher[TrainingJobLook] = Watcher(TrainingJobHook(CONNECTION), Budgets(self.clock), self.clock)
        self.log = mock.Mock()
        self.ended: dict[str, float] = {}
        self.task = asyncio.create_task(self.watcher.run())

    def begin(self, *names: str) -> list[asyncio.Task[Any]]:
        """Make jobs, and wait for each of them."""
        for name in names:
            if name not in self._training.jobs:
                self._training.create(TrainingJobName=name, **JOB)
        return [asyncio.create_task(self._wait(name)) for name in names]

    async def _wait(self, name: str) -> TrainingJobLook:
        with self.watcher.wait(name, 5.0) as wait:
            while not (look := await wait.look(self.log)).ended:
                pass
        self.ended[name] = self.clock()
        return look

    @property
    def warnings(self) -> list[str]:
        """What the waits were told to write into their tasks' logs."""
        return [call.args[0] for call in self.log.warning.call_args_list]


def passing(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Run a scenario in virtual time; what still waits at its end is cancelled."""

    async def whole() -> None:
        try:
            await scenario()
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

    run_in_virtual_time(whole())


def calls_since(aws: FakeAws, mark: int) -> Counter[str]:
    """Return how often which operation was called after a mark in the list of calls."""
    return Counter(name for name, _ in aws.calls[mark:])


def test_waits_cost_what_happens_and_not_what_is_waited_for(aws: FakeAws, training: FakeTraining) -> None:
    """Three hundred quiet jobs take fewer than 30 calls a minute, of which nothing grows with their number."""

    async def scenario() -> None:
        waits = Waits(training)
        waits.begin(*(f"job-{index}" for index in range(300)))
        await asyncio.sleep(120)
        settled = len(aws.calls)
        await asyncio.sleep(600)
        calls = calls_since(aws, settled)
        assert calls.keys() <= {"ListTrainingJobs", "DescribeTrainingJob"}
        assert 100 < calls["ListTrainingJobs"] < 150
        assert calls.total() < 300

    passing(scenario)


def test_a_new_wait_is_looked_at_once_and_at_a_bounded_pace(aws: FakeAws, training: FakeTraining) -> None:
    """A triggerer that starts with a crowd of waits does not call AWS as fast as it can."""

    async def scenario() -> None:
        waits = Waits(training)
        waits.begin(*(f"job-{index}" for index in range(200)))
        await asyncio.sleep(10)
        assert len(aws.asked("DescribeTrainingJob")) <= module.LOOK_BURST + 10 * module.LOOKS_PER_SECOND + 1
        await asyncio.sleep(40)
        looked_at = Counter(asked["TrainingJobName"] for asked in aws.asked("DescribeTrainingJob"))
        assert len(looked_at) == 200
        assert max(looked_at.values()) == 1

    passing(scenario)


def test_a_crowd_of_new_waits_does_not_delay_the_end_of_an_old_one(aws: FakeAws, training: FakeTraining) -> None:
    """What ended is looked at before what nobody has looked at yet."""

    async def scenario() -> None:
        waits = Waits(training)
        (old,) = waits.begin("old")
        await asyncio.sleep(20)
        waits.begin(*(f"new-{number}" for number in range(200)))
        await asyncio.sleep(0.1)
        training.ends("old", "Completed")
        began_at = waits.clock()
        await old
        assert waits.clock() - began_at < 8

    passing(scenario)


def test_an_end_is_seen_with_the_next_list(aws: FakeAws, training: FakeTraining) -> None:
    """Only the job that ended is looked at, and its wait alone ends."""

    async def scenario() -> None:
        waits = Waits(training)
        tasks = waits.begin("one", "two", "three")
        await asyncio.sleep(30)
        settled, ended_at = len(aws.calls), waits.clock()
        training.ends("two", "Failed", FailureReason="AlgorithmError: no label")
        look = await tasks[1]
        assert look.failure_reason == "AlgorithmError: no label"
        assert waits.clock() - ended_at < 7
        asked = [given for name, given in aws.calls[settled:] if name == "DescribeTrainingJob"]
        assert asked == [{"TrainingJobName": "two"}]
        assert not tasks[0].done()

    passing(scenario)


def test_two_waits_for_one_job_share_its_looks(aws: FakeAws, training: FakeTraining) -> None:
    """Both end with the one look at its end."""

    async def scenario() -> None:
        waits = Waits(training)
        tasks = waits.begin("job", "job")
        await asyncio.sleep(10)
        training.ends("job", "Completed")
        assert [look.status for look in await asyncio.gather(*tasks)] == ["Completed"] * 2
        assert len(aws.asked("DescribeTrainingJob")) == 2

    passing(scenario)


def test_each_list_begins_where_the_one_before_was_answered_by_the_clock_of_aws(
    aws: FakeAws, training: FakeTraining
) -> None:
    """Our own clock may be wrong; it counts for the first list only, which goes back a quarter of an hour."""
    aws.date = datetime(2031, 5, 1, 12, 0, tzinfo=timezone.utc)

    async def scenario() -> None:
        waits = Waits(training)
        waits.begin("job")
        await asyncio.sleep(8)
        first, second = (asked["LastModifiedTimeAfter"] for asked in aws.asked("ListTrainingJobs")[:2])
        assert abs(datetime.now(timezone.utc) - timedelta(minutes=15) - first) < timedelta(minutes=1)
        assert second == datetime(2031, 5, 1, 11, 59, 45, tzinfo=timezone.utc)

    passing(scenario)


def test_a_list_is_read_to_its_last_page_though_one_is_empty(aws: FakeAws, training: FakeTraining) -> None:
    """Every page is asked for with the same filter, at a bounded pace."""
    pages: dict[Any, Any] = {None: ([], "b"), "b": ([], "c"), "c": (["job"], None)}

    def paged(**request: Any) -> dict[str, Any]:
        names, token = pages[request.get("NextToken")]
        summaries = training.list_jobs()["TrainingJobSummaries"] if names else []
        return {"TrainingJobSummaries": summaries, **({"NextToken": token} if token else {})}

    aws.on("ListTrainingJobs", paged)

    async def scenario() -> None:
        waits = Waits(training)
        (task,) = waits.begin("job")
        await asyncio.sleep(20)
        training.ends("job", "Completed")
        assert (await task).status == "Completed"
        asked = aws.asked("ListTrainingJobs")
        assert [each.get("NextToken") for each in asked[:6]] == [None, "b", "c"] * 2
        assert len({each["LastModifiedTimeAfter"] for each in asked[:3]}) == 1
        assert len(asked) <= module.LIST_BURST + waits.clock() * module.LISTS_PER_SECOND

    passing(scenario)


def test_a_job_that_no_list_shows_is_found_all_the_same(aws: FakeAws, training: FakeTraining) -> None:
    """After a minute the safety net takes it up."""
    aws.on("ListTrainingJobs", {"TrainingJobSummaries": []})

    async def scenario() -> None:
        waits = Waits(training)
        tasks = waits.begin("one", "two")
        await asyncio.sleep(5)
        training.ends("one", "Completed")
        training.ends("two", "Completed")
        await asyncio.gather(*tasks)
        assert 55 < waits.clock() < 90

    passing(scenario)


def test_without_the_right_to_list_each_job_is_looked_at_in_turn(aws: FakeAws, training: FakeTraining) -> None:
    """Each wait is told once what to grant, and lists are not asked for again for minutes."""
    aws.on("ListTrainingJobs", AwsSays("AccessDeniedException", "not authorized to list"))

    async def scenario() -> None:
        waits = Waits(training)
        tasks = waits.begin("one", "two", "three")
        await asyncio.sleep(30)
        training.ends("three", "Stopped")
        assert (await tasks[2]).status == "Stopped"
        await asyncio.sleep(60)
        assert len(aws.asked("ListTrainingJobs")) == 1
        assert len(waits.warnings) == 3
        assert "grant sagemaker:ListTrainingJobs" in waits.warnings[0]
        assert "not authorized to list" in waits.warnings[0]
        assert len(aws.asked("DescribeTrainingJob")) <= 100 * module.NET_LOOKS_PER_SECOND + 3
        aws.on("ListTrainingJobs", training.list_jobs)
        await asyncio.sleep(600)
        assert len(aws.asked("ListTrainingJobs")) > 1

    passing(scenario)


def test_lists_that_fail_come_more_and_more_seldom_and_hide_no_end(aws: FakeAws, training: FakeTraining) -> None:
    """The pause doubles up to two minutes, each is told, and looks go on meanwhile."""
    aws.on("ListTrainingJobs", AwsSays("ThrottlingException", "Rate exceeded"))

    async def scenario() -> None:
        waits = Waits(training)
        tasks = waits.begin("one", "two")
        await asyncio.sleep(1000)
        assert 8 < len(aws.asked("ListTrainingJobs")) < 20
        assert len(waits.warnings) == 2 * len(aws.asked("ListTrainingJobs"))
        assert "Rate exceeded" in waits.warnings[0]
        ended_at = waits.clock()
        training.ends("two", "Completed")
        await tasks[1]
        assert waits.clock() - ended_at < 10

    passing(scenario)


def test_throttled_looks_silence_the_whole_watch(aws: FakeAws, training: FakeTraining) -> None:
    """All waits back off together, with a pause that doubles up to two minutes, and go on afterwards."""
    aws.on("DescribeTrainingJob", AwsSays("ThrottlingException", "Rate exceeded"))

    async def scenario() -> None:
        waits = Waits(training)
        tasks = waits.begin(*"abcdefgh")
        await asyncio.sleep(1000)
        assert len(aws.asked("DescribeTrainingJob")) < 16 * module.BATCH
        assert "Rate exceeded" in waits.warnings[-1]
        aws.on("DescribeTrainingJob", training.describe)
        for name in "abcdefgh":
            training.ends(name, "Completed")
        await asyncio.gather(*tasks)
        assert waits.clock() < 1000 + 160

    passing(scenario)


def test_one_job_that_cannot_be_looked_at_holds_up_no_other(aws: FakeAws, training: FakeTraining) -> None:
    """Its own looks come more and more seldom; only its task is told."""

    def describe(**request: Any) -> dict[str, Any]:
        if request["TrainingJobName"] == "bad":
            raise AwsSays("InternalFailure", "oops", status=500)
        return training.describe(**request)

    aws.on("DescribeTrainingJob", describe)

    async def scenario() -> None:
        waits = Waits(training)
        _, good = waits.begin("bad", "good")
        await asyncio.sleep(300)
        tries = [asked for asked in aws.asked("DescribeTrainingJob") if asked["TrainingJobName"] == "bad"]
        assert 4 < len(tries) < 9
        assert len(waits.warnings) == len(tries)
        training.ends("good", "Completed")
        began_at = waits.clock()
        await good
        assert waits.clock() - began_at < 7

    passing(scenario)


def test_a_job_that_is_not_there_ends_its_wait_alone(aws: FakeAws, training: FakeTraining) -> None:
    """A look that would fail again is raised where that job is waited for."""

    async def scenario() -> None:
        waits = Waits(training)
        missing, other = waits.begin("missing", "other")
        del training.jobs["missing"]
        with pytest.raises(RequestError):
            await missing
        await asyncio.sleep(10)
        assert not other.done()

    passing(scenario)


def test_a_hint_brings_a_look_at_once(aws: FakeAws, training: FakeTraining) -> None:
    """Without waiting for the next list; a hint about a job that nobody waits for does nothing."""

    async def scenario() -> None:
        waits = Waits(training)
        (task,) = waits.begin("job")
        await asyncio.sleep(20.5)
        training.ends("job", "Completed")
        hinted_at = waits.clock()
        waits.watcher.hasten("other")
        waits.watcher.hasten("job")
        await task
        assert waits.clock() - hinted_at < 0.5

    passing(scenario)


def test_a_list_of_many_pages_holds_up_no_end(aws: FakeAws, training: FakeTraining) -> None:
    """Looks go on while it is read: what a page or a hint tells is looked at before the next page is asked for."""
    others = {f"other-{number}": {**JOB, "TrainingJobName": f"other-{number}"} for number in range(30)}
    for job in others.values():
        training.create(**job)

    def paged(**request: Any) -> dict[str, Any]:
        page = int(request.get("NextToken", 0))
        jobs = training.list_jobs()["TrainingJobSummaries"]
        shown = [job for job in jobs if job["TrainingJobName"] not in others] if page == 0 else []
        return {"TrainingJobSummaries": shown, **({"NextToken": str(page + 1)} if page < 20 else {})}

    aws.on("ListTrainingJobs", paged)

    async def scenario() -> None:
        waits = Waits(training)
        listed, hinted = waits.begin("listed", "hinted")
        await asyncio.sleep(30)
        training.ends("hinted", "Completed")
        waits.watcher.hasten("hinted")
        began_at = waits.clock()
        await hinted
        assert waits.clock() - began_at < 1
        training.ends("listed", "Completed")
        await listed
        assert waits.clock() - began_at < 30, "a list of 21 pages takes 21 s, and the next one's first page tells"

    passing(scenario)


def test_a_hint_during_a_look_brings_another_look(aws: FakeAws, training: FakeTraining) -> None:
    """The one that is under way may have been answered before the end."""
    aws.on("ListTrainingJobs", {"TrainingJobSummaries": []})

    async def scenario() -> None:
        waits = Waits(training)
        (task,) = waits.begin("job")

        def describe(**request: Any) -> dict[str, Any]:
            answer = dict(training.describe(**request))
            if training.jobs["job"]["TrainingJobStatus"] != "Completed":
                training.ends("job", "Completed")
                waits.watcher.hasten("job")
            return answer

        aws.on("DescribeTrainingJob", describe)
        await task
        assert waits.clock() < 3

    passing(scenario)


def test_a_hint_does_not_shorten_the_pause_after_an_end_that_has_to_be_seen_twice(aws: FakeAws) -> None:
    """AWS may show an endpoint as it was before an update for a moment, and events may come in that moment."""
    endpoint = FakeEndpoint(aws)
    endpoint.exists("InService", "old")

    async def scenario() -> None:
        clock = asyncio.get_running_loop().time
        watcher: Watcher[EndpointLook | None] = Watcher(EndpointHook(CONNECTION), Budgets(clock), clock)
        task = asyncio.create_task(watcher.run())
        with watcher.wait("iris", 5.0) as wait:
            began_at, log = clock(), mock.Mock()
            await wait.look(log)
            for _ in range(3):
                watcher.hasten("iris")
            await wait.look(log)
            assert clock() - began_at >= 4
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    passing(scenario)


def test_waits_that_follow_each_other_share_one_budget(aws: FakeAws, training: FakeTraining) -> None:
    """A new watch does not begin with calls of its own."""

    async def scenario() -> None:
        for number in range(30):
            training.create(TrainingJobName=f"job-{number}", **JOB)
            training.ends(f"job-{number}", "Completed")
            with watching(f"job-{number}", CONNECTION, TrainingJobHook, **SETTINGS) as wait:
                await wait.look(mock.Mock())
            await asyncio.sleep(0)
        clock = asyncio.get_running_loop().time()
        assert len(aws.asked("ListTrainingJobs")) <= module.LIST_BURST + clock * module.LISTS_PER_SECOND + 1

    with (
        mock.patch.dict(module._budgets, clear=True),
        mock.patch.object(Budgets.__init__, "__defaults__", (lambda: asyncio.get_running_loop().time(),)),
    ):
        passing(scenario)


def test_a_fault_of_our_own_ends_the_waits_instead_of_leaving_them_for_ever(training: FakeTraining) -> None:
    """A watch that has stopped must not look like one that goes on."""

    async def scenario() -> None:
        waits = Waits(training)
        waits.watcher._names = mock.Mock(due=mock.Mock(side_effect=KeyError("bug")))
        with pytest.raises(KeyError, match="bug"):
            await waits.begin("job")[0]
        assert isinstance(waits.task.exception(), KeyError)

    passing(scenario)


def test_waits_of_one_connection_share_a_watch_that_ends_with_the_last_of_them(
    aws: FakeAws, training: FakeTraining
) -> None:
    """Nothing goes on when nobody waits any more, and whoever comes then is served anew."""
    for name in ("one", "two", "three"):
        training.create(TrainingJobName=name, **JOB)

    async def end_of(name: str) -> str:
        with watching(name, CONNECTION, TrainingJobHook, **SETTINGS) as wait:
            while not (look := await wait.look(mock.Mock())).ended:
                pass
            return look.status

    def wait(name: str) -> asyncio.Task[str]:
        return asyncio.create_task(end_of(name))

    async def scenario() -> None:
        one, two = wait("one"), wait("two")
        await asyncio.sleep(3)
        assert len(aws.asked("ListTrainingJobs")) == 1
        one.cancel()
        await asyncio.sleep(3)
        training.ends("two", "Completed")
        training.ends("three", "Completed")
        await two
        await asyncio.sleep(1)
        before = len(aws.calls)
        assert len(asyncio.all_tasks()) == 1
        await asyncio.sleep(60)
        assert len(aws.calls) == before
        assert await wait("three") == "Completed"

    # real time would do as well, but the pauses are long
    with mock.patch.object(Watcher.__init__, "__defaults__", (lambda: asyncio.get_running_loop().time(),)):
        passing(scenario)


def test_the_watch_does_not_write_into_the_log_of_whoever_came_first(training: FakeTraining) -> None:
    """Airflow finds a task's log by a context variable, which the shared watch must not inherit."""
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("task", default="nobody's")
    training.create(TrainingJobName="job", **JOB)
    seen: list[str] = []

    class Hook(TrainingJobHook):
        def is_changing(self, seen_job: TrainingJobLook) -> bool:
            seen.append(variable.get())
            return super().is_changing(seen_job)

    async def scenario() -> None:
        variable.set("the first task's")
        training.ends("job", "Completed")
        with watching("job", CONNECTION, Hook, **SETTINGS) as wait:
            assert (await wait.look(mock.Mock())).ended

    passing(scenario)
    assert seen
    assert set(seen) == {"nobody's"}
