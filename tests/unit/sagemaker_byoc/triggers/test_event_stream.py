"""News from the queue of state changes, handed to those who wait."""

from __future__ import annotations

import asyncio
import logging
import threading
from contextlib import contextmanager
from functools import partial
from operator import attrgetter
from typing import TYPE_CHECKING
from unittest import mock

import pytest
import structlog

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.triggers import event_stream
from sagemaker_byoc.triggers.event_stream import CHANCES, EventStream
from tests.support.fake_aws import AwsSays
from tests.support.fake_queue import QUEUE_URL, FakeQueue, event
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.fake_aws import FakeAws

NEWS = event(TrainingJobName="churn", TrainingJobStatus="Completed")


def readers() -> list[threading.Thread]:
    """Return the readers that run now."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("state-changes-")]


@pytest.fixture
def queue(aws: FakeAws) -> Iterator[FakeQueue]:
    """An empty queue that nobody reads, neither before the test nor after it, and failures that are over soon."""
    with (
        mock.patch.dict(event_stream._streams, clear=True),
        mock.patch("random.uniform", return_value=0.01),
    ):
        yield FakeQueue(aws)
        wait_until(lambda: not readers(), "the reader has ended")


def stream() -> EventStream:
    """Return the stream of the queue."""
    return EventStream.of(AwsConnection(None), QUEUE_URL)


@contextmanager
def waiting(name: str = "churn") -> Iterator[asyncio.Event]:
    """Wait for a training job: yield what is set when news of it come."""
    news = asyncio.Event()
    leave = stream().subscribe("training_job", name, news.set)
    try:
        yield news
    finally:
        leave()


async def until(condition: Callable[[], object], what: str) -> None:
    """Wait for what another thread does, while the loop runs on."""
    await asyncio.to_thread(wait_until, condition, what)


async def news_come(queue: FakeQueue, name: str, body: str) -> None:
    """Wait for a job, put a message into the queue, and return when the news have come."""
    with waiting(name) as news:
        queue.put(body)
        await asyncio.wait_for(news.wait(), 20)
        await until(lambda: not queue.messages, "the message is deleted")


def test_an_event_wakes_who_waits_for_that_name_and_is_deleted(queue: FakeQueue) -> None:
    """Capitals make no difference: AWS itself is not true to them."""
    asyncio.run(news_come(queue, "CHURN", NEWS))


def test_the_callback_runs_on_the_loop(queue: FakeQueue) -> None:
    """It may touch what belongs to the loop, such as an event or a future."""

    async def thread_of_callback() -> int:
        called: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        leave = stream().subscribe("training_job", "churn", lambda: called.set_result(threading.get_ident()))
        queue.put(NEWS)
        try:
            return await asyncio.wait_for(called, 20)
        finally:
            leave()

    assert asyncio.run(thread_of_callback()) == threading.get_ident()


def test_all_who_wait_share_one_reader_and_all_are_told(queue: FakeQueue) -> None:
    """A thousand waits cost as many requests as one."""

    async def two_of_a_name_and_others() -> None:
        with waiting() as one, waiting() as two, waiting("other") as other:
            assert len(readers()) == 1
            queue.put(NEWS)
            await asyncio.wait_for(asyncio.gather(one.wait(), two.wait()), 20)
            assert not other.is_set()

    asyncio.run(two_of_a_name_and_others())


def test_an_endpoint_is_not_a_job_of_the_same_name(queue: FakeQueue) -> None:
    """The chain often names both alike."""

    async def job_and_endpoint() -> None:
        endpoint_news = asyncio.Event()
        leave = stream().subscribe("endpoint", "churn", endpoint_news.set)
        with waiting() as job_news:
            queue.put(event("SageMaker Endpoint State Change", EndpointName="churn"))
            await asyncio.wait_for(endpoint_news.wait(), 20)
            assert not job_news.is_set()
        leave()
        leave()

    asyncio.run(job_and_endpoint())


def test_the_reader_ends_with_the_last_wait_and_begins_with_the_next(queue: FakeQueue) -> None:
    """A triggerer that waits for nothing asks SQS nothing."""
    for _ in range(2):
        asyncio.run(news_come(queue, "churn", NEWS))
        wait_until(lambda: not readers(), "the reader has ended")


def test_what_nobody_here_waits_for_is_offered_to_others_before_it_is_deleted(queue: FakeQueue) -> None:
    """Another triggerer may read the same queue; the message must neither be lost to it nor circle for ever."""

    async def other_jobs_news() -> None:
        with waiting():
            message = queue.messages[queue.put(event(TrainingJobName="of another triggerer"))]
            await until(lambda: not queue.messages, "the message is deleted")
            assert message.receive_count == CHANCES

    asyncio.run(other_jobs_news())
    assert len(queue.aws.asked("ChangeMessageVisibilityBatch")) == CHANCES - 1


@pytest.mark.parametrize("code", ["AccessDenied", "AWS.SimpleQueueService.NonExistentQueue", "ThrottlingException"])
def test_a_queue_that_fails_is_told_once_and_read_again_later(
    queue: FakeQueue, caplog: pytest.LogCaptureFixture, code: str
) -> None:
    """Waits go on; the line names queue and action, for whoever corrects a policy, and comes again with the trouble."""

    async def refused_for_a_while(news: asyncio.Event) -> None:
        queue.refusal = AwsSays(code, "no")
        before = len(queue.aws.asked("ReceiveMessage"))
        await until(lambda: len(queue.aws.asked("ReceiveMessage")) > before + 3, "the reader has tried again")
        queue.refusal = None
        queue.put(NEWS)
        await asyncio.wait_for(news.wait(), 20)
        await until(lambda: not queue.messages, "the message is deleted")

    async def refused_twice() -> None:
        with waiting() as news:
            await refused_for_a_while(news)
            news.clear()
            await refused_for_a_while(news)

    asyncio.run(refused_twice())
    lines = [record.getMessage() for record in caplog.records if record.name == event_stream.__name__]
    assert len(lines) == 2
    assert all(QUEUE_URL in line and code in line and "ReceiveMessage" in line for line in lines)


def test_somebody_elses_messages_stay_in_the_queue(queue: FakeQueue, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong URL must not empty a queue that others depend on; it is told once."""

    async def wrong_queue() -> None:
        with waiting() as news:
            for body in ("an order", "another order"):
                message = queue.messages[queue.put(body)]
                await until(partial(attrgetter("receive_count"), message), "the message was read")
            queue.put(NEWS)
            await asyncio.wait_for(news.wait(), 20)
            await until(lambda: len(queue.messages) == 2, "the news are deleted")

    asyncio.run(wrong_queue())
    assert [message.body for message in queue.messages.values()] == ["an order", "another order"]
    [line] = [record.getMessage() for record in caplog.records if record.name == event_stream.__name__]
    assert "left in the queue" in line


def test_a_loop_that_is_gone_neither_stops_news_nor_keeps_the_reader(queue: FakeQueue) -> None:
    """A wait that was torn down without a chance to leave must not cost requests for ever."""

    async def leave_without_a_word() -> None:
        stream().subscribe("training_job", "churn", lambda: None)

    asyncio.run(leave_without_a_word())
    asyncio.run(news_come(queue, "churn", NEWS))


def test_the_readers_lines_belong_to_no_task(queue: FakeQueue) -> None:
    """Whichever wait came first, its task's log is not where other tasks' trouble is told."""
    seen: list[dict[str, object]] = []

    class Sink(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            seen.append(structlog.contextvars.get_contextvars())

    async def refused() -> None:
        with structlog.contextvars.bound_contextvars(trigger_id=7), waiting():
            await until(lambda: seen, "the reader has complained")

    queue.refusal = AwsSays("AccessDenied", "no")
    sink = Sink()
    logging.getLogger(event_stream.__name__).addHandler(sink)
    try:
        asyncio.run(refused())
    finally:
        logging.getLogger(event_stream.__name__).removeHandler(sink)
    assert seen == [{}]


def test_connections_and_queues_that_differ_have_streams_of_their_own(queue: FakeQueue) -> None:
    """The same parameters lead to the same stream, other ones to another."""
    assert EventStream.of(AwsConnection(None), QUEUE_URL) is stream()
    assert EventStream.of(AwsConnection(None, "eu-west-1"), QUEUE_URL) is not stream()
    assert EventStream.of(AwsConnection(None), f"{QUEUE_URL}-2") is not stream()


def test_what_is_no_queue_is_refused_before_anything_starts(queue: FakeQueue) -> None:
    """A wait that could never hear anything says so to its author."""
    with pytest.raises(RequestError, match="event_queue_url"):
        EventStream.of(AwsConnection(None), "state-changes")
