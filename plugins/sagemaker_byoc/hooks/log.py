"""Reading CloudWatch Logs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["LogHook"]

STREAMS = 5


class LogHook:
    """The container's output, as CloudWatch keeps it."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def tail(self, group: str, stream_prefix: str, lines: int = 20) -> list[str]:
        """Return the newest lines of a group's streams, oldest first; none when nothing was ever written.

        :param stream_prefix: beginning of the streams' names; of several, the last five by name are read. An empty one
            stands for the five streams that were written to last
        :param lines: how many lines in all
        """
        client = self._connection.client("logs")
        try:
            events = [
                event
                for name in self._streams(client, group, stream_prefix)
                for event in last_events(client, group, name, lines)
            ]
        except client.exceptions.ResourceNotFoundException:
            return []
        newest = sorted(events, key=lambda event: int(event["timestamp"]))[-lines:]
        return [str(event["message"]) for event in newest]

    def _streams(self, client: Any, group: str, prefix: str) -> list[str]:
        if not prefix:
            # CloudWatch orders by time only without a prefix.
            order = {"orderBy": "LastEventTime", "descending": True, "limit": STREAMS}
            answer = client.describe_log_streams(logGroupName=group, **order)
            return [stream["logStreamName"] for stream in answer["logStreams"]]
        pages = client.get_paginator("describe_log_streams").paginate(logGroupName=group, logStreamNamePrefix=prefix)
        names = [stream["logStreamName"] for page in pages for stream in page["logStreams"]]
        return names[-STREAMS:]


def last_events(client: Any, group: str, stream: str, count: int) -> list[dict[str, Any]]:
    """Return the last events of one stream."""
    answer = client.get_log_events(logGroupName=group, logStreamName=stream, limit=count, startFromHead=False)
    return list(answer["events"])
