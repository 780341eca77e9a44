"""Reading CloudWatch Logs.

Owns every call to it. Knows nothing of jobs and endpoints, and does not remember what it read.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.retry import aws_code
from sagemaker_byoc.training_log import LogEvent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["LogHook", "LogReading"]

STREAMS = 5

_DESCENDING_SINCE_MS = 1_704_067_200_000
"""FilterLogEvents gives the newest events first only with a start from 2024 on. Source: botocore's model of it."""

_LAST_WINDOW_MS = 60_000
"""What counts as the newest events for a botocore whose model cannot ask for them first (before June 2026)."""


@dataclass(frozen=True)
class LogReading:
    """What some calls brought.

    :param events: oldest first
    :param complete: whether these are all events that CloudWatch shows from the start of the reading on
    :param calls: how many calls were made
    :param newest_ms: the time of the newest event, milliseconds since 1970; None when none was read
    """

    events: list[LogEvent]
    complete: bool
    calls: int
    newest_ms: int | None = None

    @classmethod
    def of(cls, events: list[LogEvent], *, complete: bool, calls: int) -> LogReading:
        """Make a reading of all the events that were read."""
        newest_ms = max((event.timestamp_ms for event in events), default=None)
        return cls(events, complete, calls, newest_ms)


class LogHook:
    """The container's output, as CloudWatch keeps it."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def last_words(
        self,
        group: str,
        stream_prefix: str,
        lines: int = 20,
        *,
        since: Callable[[], datetime | None] | None = None,
    ) -> list[str]:
        """Return the newest lines for the message of a failure.

        A log that cannot be read must not hide why the task fails, so the reason for that takes the place of the
        lines.

        :param since: asked for the time that ``tail`` takes; it may call AWS and fail
        """
        try:
            return self.tail(group, stream_prefix, lines, since=since() if since else None)
        except Exception as error:  # noqa: BLE001 - the task fails anyway, and with the better reason
            return [f"(the log could not be read: {error})"]

    def tail(self, group: str, stream_prefix: str, lines: int = 20, *, since: datetime | None = None) -> list[str]:
        """Return the newest lines of a group's streams, oldest first; none when nothing was ever written.

        :param stream_prefix: beginning of the streams' names; of several, the last five by name are read. An empty one
            stands for the five streams that were written to last
        :param lines: how many lines in all
        :param since: leave out streams that were created before, when there is no prefix
        """
        client = self._connection.client("logs")
        try:
            events = [
                event
                for name in _streams(client, group, stream_prefix, since)
                for event in last_events(client, group, name, lines)
            ]
        except client.exceptions.ClientError as error:
            # not by the modelled class, of which threads that first ask for it at once may get different ones
            if aws_code(error) != "ResourceNotFoundException":
                raise
            return []
        newest = sorted(events, key=lambda event: int(event["timestamp"]))[-lines:]
        return [str(event["message"]) for event in newest]

    def since(self, group: str, start_ms: int, stream_prefix: str = "", *, most_pages: int) -> LogReading:
        """Read the events of a group's streams, the oldest first; a group that is not there yet has none.

        :param start_ms: milliseconds since 1970
        :param stream_prefix: beginning of the streams' names; an empty one stands for all streams
        :param most_pages: how many calls at most, each for up to 1 MB or 10,000 events. An empty page is no end
        """
        request = {"logGroupName": group, "startTime": start_ms, **_prefixed(stream_prefix)}
        events: list[LogEvent] = []
        for calls in range(1, most_pages + 1):
            page = self._page(request)
            events += [LogEvent.of(event) for event in page.get("events", ())]
            if not page.get("nextToken"):
                return LogReading.of(events, complete=True, calls=calls)
            request["nextToken"] = page["nextToken"]
        return LogReading.of(events, complete=False, calls=most_pages)

    def newest(self, group: str, start_ms: int, stream_prefix: str, *, most: int, now_ms: int) -> LogReading:
        """Read the newest events in one call.

        :param start_ms: nothing older is read; milliseconds since 1970
        :param most: how many events
        :param now_ms: milliseconds since 1970
        """
        request = {"logGroupName": group, "startTime": start_ms, **_prefixed(stream_prefix)}
        shape = self._connection.client("logs").meta.service_model.operation_model("FilterLogEvents").input_shape
        from_the_end = "startFromHead" in shape.members
        if from_the_end:
            start_ms = max(start_ms, _DESCENDING_SINCE_MS)
            request |= {"startFromHead": False, "startTime": start_ms, "limit": most}
        else:
            request["startTime"] = max(start_ms, now_ms - _LAST_WINDOW_MS)
        page = self._page(request)
        events = [LogEvent.of(event) for event in page.get("events", ())]
        # Within one moment the ids count up: observed in CloudWatch's own examples, promised nowhere.
        events.sort(key=lambda event: (event.timestamp_ms, event.event_id))
        complete = from_the_end and not page.get("nextToken")
        return LogReading.of(events[-most:], complete=complete, calls=1)

    def _page(self, request: dict[str, Any]) -> dict[str, Any]:
        client = self._connection.client("logs")
        try:
            page: dict[str, Any] = client.filter_log_events(**request)
        except client.exceptions.ResourceNotFoundException:
            return {}
        return page


def _prefixed(stream_prefix: str) -> dict[str, Any]:
    return {"logStreamNamePrefix": stream_prefix} if stream_prefix else {}


def _streams(client: Any, group: str, prefix: str, since: datetime | None) -> list[str]:
    if not prefix:
        return list(islice(_written_last(client, group, since), STREAMS))
    pages = client.get_paginator("describe_log_streams").paginate(logGroupName=group, logStreamNamePrefix=prefix)
    names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
    return names[-STREAMS:]


def _written_last(client: Any, group: str, since: datetime | None) -> Iterator[str]:
    """Yield the streams, the one that was written to last first; CloudWatch orders by time only without a prefix."""
    earliest = int(since.timestamp() * 1000) if since else 0  # creationTime is in whole milliseconds
    pages = client.get_paginator("describe_log_streams").paginate(
        logGroupName=group, orderBy="LastEventTime", descending=True
    )
    for page in pages:
        yield from (each["logStreamName"] for each in page["logStreams"] if each.get("creationTime", 0) >= earliest)


def last_events(client: Any, group: str, stream: str, count: int) -> list[dict[str, Any]]:
    """Return the last events of one stream."""
    answer = client.get_log_events(logGroupName=group, logStreamName=stream, limit=count, startFromHead=False)
    return list(answer["events"])
