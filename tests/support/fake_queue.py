"""SQS with one queue, behind the clients of the fake AWS."""

from __future__ import annotations

import itertools
import json
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.fake_aws import AwsSays, FakeAws

__all__ = ["QUEUE_URL", "FakeQueue", "event"]

QUEUE_URL = "https://sqs.eu-west-1.amazonaws.com/111122223333/state-changes"

_WAIT_SECONDS = 0.05
"""What stands for the twenty seconds of a long poll, so that a reader that nobody needs any more ends soon."""

_SOON_SECONDS = 1
"""A message that is hidden no longer than this is visible at once, so that tests need not wait."""


def event(detail_type: str = "SageMaker Training Job State Change", **detail: Any) -> str:
    """Return an event as EventBridge writes it into a queue."""
    return json.dumps({"version": "0", "source": "aws.sagemaker", "detail-type": detail_type, "detail": detail})


@dataclass
class _Message:
    body: str
    receive_count: int = 0
    visible: bool = True


class FakeQueue:
    """A standard queue; a message that was received is invisible until it is put back.

    :param aws: whose SQS it is
    """

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.messages: dict[str, _Message] = {}
        self.refusal: AwsSays | None = None
        self._numbers = itertools.count()
        self._changed = threading.Condition()
        aws.on("ReceiveMessage", self._receive)
        aws.on("DeleteMessageBatch", self._delete)
        aws.on("ChangeMessageVisibilityBatch", self._change)

    def put(self, body: str) -> str:
        """Add a message and return what names it."""
        with self._changed:
            handle = f"receipt-{next(self._numbers)}"
            self.messages[handle] = _Message(body)
            self._changed.notify_all()
            return handle

    def _receive(self, *, MaxNumberOfMessages: int, **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's name
        if self.refusal:
            raise self.refusal
        with self._changed:
            self._changed.wait_for(self._visible, _WAIT_SECONDS)
            found = self._visible()[:MaxNumberOfMessages]
            return {"Messages": [self._handed_out(handle) for handle in found]} if found else {}

    def _visible(self) -> list[str]:
        return [handle for handle, message in self.messages.items() if message.visible]

    def _handed_out(self, handle: str) -> dict[str, Any]:
        message = self.messages[handle]
        message.visible = False
        message.receive_count += 1
        counted = {"ApproximateReceiveCount": str(message.receive_count)}
        return {"MessageId": handle, "ReceiptHandle": handle, "Body": message.body, "Attributes": counted}

    def _delete(self, *, Entries: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's name
        with self._changed:
            for entry in Entries:
                del self.messages[entry["ReceiptHandle"]]
        return _all_well(Entries)

    def _change(self, *, Entries: list[dict[str, Any]], **_: Any) -> dict[str, Any]:  # noqa: N803 - AWS's name
        with self._changed:
            for entry in Entries:
                self.messages[entry["ReceiptHandle"]].visible = entry["VisibilityTimeout"] <= _SOON_SECONDS
        return _all_well(Entries)


def _all_well(entries: list[dict[str, Any]]) -> dict[str, Any]:
    return {"Successful": [{"Id": entry["Id"]} for entry in entries], "Failed": []}
