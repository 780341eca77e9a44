"""The SQS queue to which EventBridge sends SageMaker's state changes.

Owns the calls to SQS. Must not know who waits for what. Every call blocks, ``receive`` for up to 20 seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.state_change import StateChange, read_event

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["EventQueueHook", "QueueMessage"]

LONGEST_WAIT_SECONDS = 20
MOST_MESSAGES = 10
"""Limits of ReceiveMessage, as its API reference gives them."""

HIDDEN_SECONDS = 30
"""How long no other reader sees a received message: enough to look at it, far less than it is kept for."""

ASIDE_SECONDS = 1
"""How long a message that was put back stays hidden. Visible at once it would go to whoever asks next, which is the
reader that put it back; a second later all readers wait for it alike."""

_ANSWER_SECONDS = 5
"""What a long poll that waited in vain may take beyond the wait itself."""


@dataclass(frozen=True)
class QueueMessage:
    """One message as this reader holds it.

    :param receipt: names the message in this reader's next call about it
    :param receive_count: how often it was handed out so far, this time included
    :param change: what it says; None when it is no event of SageMaker
    """

    receipt: str
    receive_count: int
    change: StateChange | None


class EventQueueHook:
    """Reads a queue whose messages are EventBridge's events.

    What SQS refuses of a batch in ``delete`` or ``put_back`` is let be: such a message comes again after half a minute,
    and an event that is read twice harms nothing.

    :param connection: how AWS is reached
    :param queue_url: of a standard queue
    """

    def __init__(self, connection: AwsConnection, queue_url: str) -> None:
        self._connection = connection
        self._queue_url = queue_url

    def receive(self) -> list[QueueMessage]:
        """Wait for messages and return up to ten; an empty list when none came in time."""
        client = self._client
        answer = client.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=MOST_MESSAGES,
            WaitTimeSeconds=_wait_seconds(client.meta.config.read_timeout),
            VisibilityTimeout=HIDDEN_SECONDS,
            MessageSystemAttributeNames=["ApproximateReceiveCount"],
        )
        return [_message(found) for found in answer.get("Messages", [])]

    def delete(self, messages: Sequence[QueueMessage]) -> None:
        """Remove messages for every reader."""
        if messages:
            client = self._client
            client.delete_message_batch(QueueUrl=self._queue_url, Entries=_entries(messages))

    def put_back(self, messages: Sequence[QueueMessage]) -> None:
        """Let all readers have messages again, in a second."""
        if messages:
            client = self._client
            entries = [{**entry, "VisibilityTimeout": ASIDE_SECONDS} for entry in _entries(messages)]
            client.change_message_visibility_batch(QueueUrl=self._queue_url, Entries=entries)

    @property
    def _client(self) -> Any:
        return self._connection.client("sqs")


def _wait_seconds(read_timeout_seconds: float | None) -> int:
    """Return how long SQS may keep silent so that boto3 does not take it for dead."""
    if read_timeout_seconds is None:
        return LONGEST_WAIT_SECONDS
    return max(1, min(LONGEST_WAIT_SECONDS, int(read_timeout_seconds) - _ANSWER_SECONDS))


def _message(found: dict[str, Any]) -> QueueMessage:
    count = int(found["Attributes"]["ApproximateReceiveCount"])
    return QueueMessage(found["ReceiptHandle"], count, read_event(found["Body"]))


def _entries(messages: Sequence[QueueMessage]) -> list[dict[str, Any]]:
    return [{"Id": str(number), "ReceiptHandle": message.receipt} for number, message in enumerate(messages)]
