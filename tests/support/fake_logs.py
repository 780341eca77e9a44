"""CloudWatch Logs in the table of answers that stands for AWS, as far as following a log needs it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.fake_aws import AwsSays

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws

__all__ = ["FakeLogs"]


@dataclass
class _Event:
    stream: str
    timestamp_ms: int
    message: str
    event_id: str
    shown_at_ms: int

    def as_answer(self) -> dict[str, Any]:
        return {
            "logStreamName": self.stream,
            "timestamp": self.timestamp_ms,
            "ingestionTime": self.shown_at_ms,
            "message": self.message,
            "eventId": self.event_id,
        }


class FakeLogs:
    """One log group whose events a test writes.

    :param page_size: events on a page, unless the request wants fewer
    :param empty_pages: how many empty pages with a token come before the events of each reading
    """

    def __init__(self, aws: FakeAws) -> None:
        self.aws = aws
        self.page_size = 10_000
        self.empty_pages = 0
        self.exists = True
        self.refusal: AwsSays | None = None
        self._events: list[_Event] = []
        aws.on("FilterLogEvents", self.filter)

    @property
    def calls(self) -> list[dict[str, Any]]:
        """The requests so far."""
        return self.aws.asked("FilterLogEvents")

    def write(self, job: str, *messages: str, host: str = "algo-1", at_ms: int | None = None, late_ms: int = 0) -> None:
        """Write events, all at one time.

        :param at_ms: their time, now by default
        :param late_ms: how long after now CloudWatch shows them
        """
        now_ms = time.time_ns() // 1_000_000
        for message in messages:
            event_id = f"{len(self._events):056d}"
            at = now_ms if at_ms is None else at_ms
            self._events.append(_Event(f"{job}/{host}-1767312000", at, message, event_id, now_ms + late_ms))

    def filter(self, **request: Any) -> dict[str, Any]:
        """Answer FilterLogEvents."""
        if self.refusal is not None:
            raise self.refusal
        if not self.exists:
            raise AwsSays("ResourceNotFoundException", "The specified log group does not exist.")
        empty, begin = map(int, request.get("nextToken", f"{self.empty_pages}/0").split("/"))
        if empty:
            return {"events": [], "nextToken": f"{empty - 1}/0"}
        found = self._found(request)
        end = begin + min(request.get("limit", self.page_size), self.page_size)
        answer: dict[str, Any] = {"events": [event.as_answer() for event in found[begin:end]]}
        return answer | ({"nextToken": f"0/{end}"} if end < len(found) else {})

    def _found(self, request: dict[str, Any]) -> list[_Event]:
        now_ms = time.time_ns() // 1_000_000
        found = [
            event
            for event in self._events
            if event.shown_at_ms <= now_ms
            and event.timestamp_ms >= request.get("startTime", 0)
            and event.stream.startswith(request.get("logStreamNamePrefix", ""))
        ]
        backward = request.get("startFromHead") is False
        return sorted(found, key=lambda event: (event.timestamp_ms, event.event_id), reverse=backward)
