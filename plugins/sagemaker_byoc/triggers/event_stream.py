"""News of state changes from an SQS queue, for everything that waits in this triggerer process.

Owns the one reader for each queue: a daemon thread, so that the triggerer neither waits for a long poll when it ends
nor lends it a thread that others need. Must not know what is done about news. An event only says that a look is worth
while: whoever subscribes must go on looking now and then, since events may come twice, late or not at all.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.hooks.event_queue import EventQueueHook
from sagemaker_byoc.pause import LONGEST_PAUSE_SECONDS, pause_seconds
from sagemaker_byoc.state_change import StateChange, check_queue_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.event_queue import QueueMessage
    from sagemaker_byoc.state_change import Kind

__all__ = ["EventStream", "hearing"]

_logger = logging.getLogger(__name__)

CHANCES = 5
"""How often a message about what nobody here waits for is handed out before it is deleted. Another triggerer may read
the same queue: with two of them, one message in 32 misses the right one, whose wait then learns by polling."""

_streams: dict[tuple[str, str], EventStream] = {}
_finding_streams = threading.Lock()


@dataclass(frozen=True, eq=False)
class _Subscription:
    loop: asyncio.AbstractEventLoop
    callback: Callable[[], None]

    def tell(self) -> bool:
        """Have the callback called on its loop; say whether that loop still runs."""
        try:
            self.loop.call_soon_threadsafe(self.callback)
        except RuntimeError:
            return False
        return True


class EventStream:
    """The news of one queue; get it with ``of``, so that all waits share one reader.

    :param queue: where the news come from
    :param queue_url: as log lines name it
    """

    def __init__(self, queue: EventQueueHook, queue_url: str) -> None:
        self._queue = queue
        self._queue_url = queue_url
        self._subscriptions: dict[StateChange, list[_Subscription]] = {}
        self._changed = threading.Condition()
        self._is_read = False
        self._failures = 0
        self._strangers_told = False

    @classmethod
    def of(cls, connection: AwsConnection, queue_url: str) -> EventStream:
        """Return this process's stream of a queue.

        :raises RequestError: when the URL cannot be that of a standard queue
        """
        check_queue_url(queue_url)
        key = connection.key, queue_url
        with _finding_streams:
            if key not in _streams:
                _streams[key] = cls(EventQueueHook(connection, queue_url), queue_url)
            return _streams[key]

    def subscribe(self, kind: Kind, name: str, callback: Callable[[], None]) -> Callable[[], None]:
        """Have something called, on the running event loop, whenever an event about a resource came.

        The first subscriber starts the reader, the last one that leaves ends it, within one long poll.

        :param name: of the training job or endpoint; capitals make no difference
        :param callback: must not block
        :return: what ends the subscription; harmless when called again
        """
        key = StateChange.of(kind, name)
        subscription = _Subscription(asyncio.get_running_loop(), callback)
        with self._changed:
            self._subscriptions.setdefault(key, []).append(subscription)
            if not self._is_read:
                self._is_read = True
                self._start_reader()
        return lambda: self._drop(key, subscription)

    def _start_reader(self) -> None:
        # In a context of its own: what it logs belongs to no task, whichever subscribed first.
        empty = contextvars.Context()
        name = f"state-changes-{self._queue_url.rpartition('/')[2]}"
        threading.Thread(target=empty.run, args=(self._read_on,), name=name, daemon=True).start()

    def _read_on(self) -> None:
        """Read until nobody is left."""
        while self._is_wanted():
            try:
                self._read()
            except Exception as error:  # noqa: BLE001 - whatever it is, waits go on without news
                self._note(error)
                self._pause()
            else:
                self._failures = 0

    def _is_wanted(self) -> bool:
        with self._changed:
            self._is_read = any(
                not subscription.loop.is_closed() for those in self._subscriptions.values() for subscription in those
            )
            return self._is_read

    def _read(self) -> None:
        messages = self._queue.receive()
        told = [message for message in messages if message.change and self._tell(message.change)]
        untold = [message for message in messages if message.change and message not in told]
        self._queue.delete([*told, *(message for message in untold if message.receive_count >= CHANCES)])
        self._queue.put_back([message for message in untold if message.receive_count < CHANCES])
        self._refuse_strangers(messages)

    def _refuse_strangers(self, messages: list[QueueMessage]) -> None:
        # They are somebody's, who put in the wrong URL: not ours to delete, nor to receive as fast as they come.
        if any(message.change is None for message in messages):
            allowed = "a queue with nothing but SageMaker's state changes, as EventBridge sends them"
            raise RequestError("event_queue_url", self._queue_url, allowed, "Other messages are left in the queue.")

    def _tell(self, change: StateChange) -> bool:
        with self._changed:
            subscriptions = list(self._subscriptions.get(change, ()))
        return sum(subscription.tell() for subscription in subscriptions) > 0

    def _drop(self, key: StateChange, subscription: _Subscription) -> None:
        with self._changed:
            those = self._subscriptions.get(key, [])
            if subscription in those:
                those.remove(subscription)
            if not those:
                self._subscriptions.pop(key, None)
            self._changed.notify_all()

    def _note(self, error: Exception) -> None:
        """Log the first failure in a row, and strangers once."""
        self._failures += 1
        is_stranger = isinstance(error, RequestError)
        if self._strangers_told if is_stranger else self._failures > 1:
            return
        self._strangers_told |= is_stranger
        _logger.warning(
            "No news of SageMaker's state changes from %s: %s. Waits go on by polling; the queue is tried again, "
            "after pauses of up to %.0f s.",
            self._queue_url,
            error,
            LONGEST_PAUSE_SECONDS,
        )

    def _pause(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: not self._subscriptions, pause_seconds(1.0, self._failures - 1))


@contextmanager
def hearing(
    connection: AwsConnection, queue_url: str | None, kind: Kind, name: str, callback: Callable[[], None]
) -> Iterator[None]:
    """Have something called at news of a resource, where there is a queue with such news.

    A URL that cannot be one is only logged: the wait goes on without news.
    """
    try:
        leave = EventStream.of(connection, queue_url).subscribe(kind, name, callback) if queue_url else None
    except RequestError as error:
        _logger.warning("No news of SageMaker's state changes; the wait goes on by polling. %s", error)
        leave = None
    try:
        yield
    finally:
        if leave:
            leave()
