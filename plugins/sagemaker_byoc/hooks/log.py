"""Reading CloudWatch Logs."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["LogHook"]

STREAMS = 5


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
        except client.exceptions.ResourceNotFoundException:
            return []
        newest = sorted(events, key=lambda event: int(event["timestamp"]))[-lines:]
        return [str(event["message"]) for event in newest]


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
