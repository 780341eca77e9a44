"""Writes the lines of one container to one CloudWatch Logs stream.

Owns batching and the limits of PutLogEvents. Must not know what writes the lines.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from typing import TYPE_CHECKING, Any

import botocore.exceptions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_aws.cloud import Cloud

__all__ = ["LogStream"]

_logger = logging.getLogger(__name__)

# Limits of PutLogEvents (CloudWatch Logs API reference): 1,048,576 bytes and 10,000 events in a batch, 26 bytes
# of overhead for each. A single event is kept to the 256 KB that were the limit until 2025.
_EVENT_OVERHEAD_BYTES = 26
_MOST_BATCH_BYTES = 1_048_576
_MOST_BATCH_EVENTS = 10_000
_MOST_EVENT_BYTES = 262_144 - _EVENT_OVERHEAD_BYTES
_FLUSH_SECONDS = 0.25
_MOST_WAITING_LINES = 50_000


class LogStream:
    """A log stream that comes into being with its first line.

    :param cloud: where CloudWatch Logs is
    :param group: for example ``/aws/sagemaker/TrainingJobs``
    :param stream: for example ``<job>/algo-1-<epoch seconds>``
    """

    def __init__(self, cloud: Cloud, group: str, stream: str) -> None:
        self._logs = cloud.client("logs")
        self._group = group
        self._stream = stream
        self._exists = False
        # The bound makes a container that floods its output wait, as a full pipe would.
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue(_MOST_WAITING_LINES)
        self._thread = threading.Thread(target=self._run, name=f"log {stream}", daemon=True)
        self._thread.start()

    def write(self, line: str) -> None:
        """Queue one line. Empty ones are left out, since CloudWatch takes none; long ones are cut into several."""
        timestamp = round(time.time() * 1000)
        for piece in _pieces(line):
            self._events.put({"timestamp": timestamp, "message": piece})

    def close(self) -> None:
        """Return when every line has been written. Harmless when repeated."""
        if self._thread.is_alive():
            self._events.put(None)
            self._thread.join()

    def _run(self) -> None:
        ended = False
        while not ended:
            batch, ended = self._gather()
            for part in _batches(batch):
                self._send(part)

    def _gather(self) -> tuple[list[dict[str, Any]], bool]:
        """Return the events that came until the batch is due, and whether they were the last."""
        batch: list[dict[str, Any]] = []
        due: float | None = None
        while len(batch) < _MOST_BATCH_EVENTS:
            try:
                event = self._events.get(timeout=None if due is None else max(0.0, due - time.monotonic()))
            except queue.Empty:
                return batch, False
            if event is None:
                return batch, True
            batch.append(event)
            due = due or time.monotonic() + _FLUSH_SECONDS
        return batch, False

    def _send(self, events: list[dict[str, Any]]) -> None:
        try:
            self._ensure_stream()
            self._logs.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=events)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            _logger.exception("%d log lines of %s were lost", len(events), self._stream)

    def _ensure_stream(self) -> None:
        if self._exists:
            return
        with _already_there():
            self._logs.create_log_group(logGroupName=self._group)
        with _already_there():
            self._logs.create_log_stream(logGroupName=self._group, logStreamName=self._stream)
        self._exists = True


@contextlib.contextmanager
def _already_there() -> Iterator[None]:
    """Pass over the refusal to make what another container has made.

    Known by its code: threads that ask a client for its exceptions at once are given classes that are not the same.
    """
    try:
        yield
    except botocore.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "ResourceAlreadyExistsException":
            raise


def _pieces(line: str) -> Iterator[str]:
    """Yield a line in parts that fit into an event, never cutting a character in two."""
    data = line.encode(errors="replace")
    while data:
        cut = _MOST_EVENT_BYTES
        while cut < len(data) and data[cut] & 0xC0 == 0x80:
            cut -= 1
        yield data[:cut].decode(errors="replace")
        data = data[cut:]


def _batches(events: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    size = 0
    for event in events:
        event_size = len(event["message"].encode()) + _EVENT_OVERHEAD_BYTES
        if batch and size + event_size > _MOST_BATCH_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += event_size
    if batch:
        yield batch
