"""Calls to the queue of state changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.event_queue import EventQueueHook
from sagemaker_byoc.state_change import StateChange
from tests.support.fake_queue import QUEUE_URL, FakeQueue, event

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws


@pytest.fixture
def queue(aws: FakeAws) -> FakeQueue:
    """An empty queue."""
    return FakeQueue(aws)


def hook(**botocore_config: int) -> EventQueueHook:
    """Make the hook of a connection with these settings of botocore."""
    return EventQueueHook(AwsConnection(None, botocore_config=botocore_config or None), QUEUE_URL)


def test_a_message_comes_with_what_it_says_and_how_often_it_came(queue: FakeQueue) -> None:
    """Whoever reads decides by these whether to keep it."""
    queue.put(event(TrainingJobName="Churn"))
    [first] = hook().receive()
    hook().put_back([first])
    [again] = hook().receive()
    assert first.change == again.change == StateChange("training_job", "churn")
    assert (first.receive_count, again.receive_count) == (1, 2)


def test_what_is_put_back_stays_hidden_for_a_moment(queue: FakeQueue) -> None:
    """Otherwise it would come back to this reader, which asks again before any other can be given it."""
    queue.put(event(TrainingJobName="churn"))
    hook().put_back(hook().receive())
    [request] = queue.aws.asked("ChangeMessageVisibilityBatch")
    assert [0 < entry["VisibilityTimeout"] <= 2 for entry in request["Entries"]] == [True]


def test_an_empty_queue_gives_an_empty_list(queue: FakeQueue) -> None:
    """As after every long poll without news."""
    assert hook().receive() == []


def test_what_is_deleted_does_not_come_again(queue: FakeQueue) -> None:
    """Ten messages leave in one call."""
    for number in range(10):
        queue.put(event(TrainingJobName=f"job-{number}"))
    found = hook().receive()
    assert len(found) == 10
    hook().delete(found)
    assert queue.messages == {}
    assert len(queue.aws.asked("DeleteMessageBatch")) == 1


def test_nothing_to_say_is_no_call(queue: FakeQueue) -> None:
    """SQS refuses an empty batch, and every request costs."""
    hook().delete([])
    hook().put_back([])
    assert queue.aws.calls == []


@pytest.mark.parametrize(("read_timeout", "wait"), [(None, 20), (60, 20), (10, 5), (3, 1)])
def test_a_long_poll_is_shorter_than_botos_patience(queue: FakeQueue, read_timeout: int | None, wait: int) -> None:
    """Otherwise each poll without news would be a timeout, and be repeated."""
    settings = {} if read_timeout is None else {"read_timeout": read_timeout}
    hook(**settings).receive()
    assert [request["WaitTimeSeconds"] for request in queue.aws.asked("ReceiveMessage")] == [wait]
