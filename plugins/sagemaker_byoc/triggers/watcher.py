"""One watch over all resources of a kind that triggers of this process wait for.

Owns the calls that many waits share: it asks AWS what has changed since it asked last, looks closely only at what ended
or was never looked at, and hands each wait its news. So calls grow with what happens and not with what is waited for.
Knows neither what is watched nor what the news mean.
"""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sagemaker_byoc.call_pace import CallBudget
from sagemaker_byoc.pause import pause_seconds
from sagemaker_byoc.retry import is_permanent, is_throttled
from sagemaker_byoc.triggers.event_stream import hearing
from sagemaker_byoc.triggers.shared import in_thread, nap, sharing
from sagemaker_byoc.watch_list import WatchList

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk.types import Logger

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.watched import Watched

__all__ = ["Wait", "Watcher", "watching"]

_logger = logging.getLogger(__name__)

Seen = TypeVar("Seen")
Answer = TypeVar("Answer")

LISTS_PER_SECOND, LIST_BURST = 0.5, 2
"""ListTrainingJobs takes about 2 calls a second for a whole account, and others need some of them. Source: its users
(https://github.com/aws-deepracer-community/deepracer-on-aws/issues/87); AWS documents no figure."""

LOOKS_PER_SECOND, LOOK_BURST = 5.0, 10
"""For DescribeTrainingJob and DescribeEndpoint no figure is known: a guess on the careful side."""

NET_LOOKS_PER_SECOND = 1.0
"""For looks that nothing but the time gives a reason for."""

SHORTEST_INTERVAL_SECONDS = 1.0
"""Between two lists, whatever a wait asks for."""

FIRST_LOOK_BACK = timedelta(hours=1)
"""How far the first list goes back, so that what ended while no triggerer ran is seen at once."""

OVERLAP = timedelta(seconds=30)
"""How far each list reaches behind the one before, for changes that AWS lists late."""

OVERLOOKED_AFTER_SECONDS = 60.0
"""When the safety net takes up a name that no list has shown."""

DENIED_FOR_SECONDS = 600.0
"""How long after a refused list the right to it is tried again."""

BATCH = 4
"""Looks that are under way at the same time."""


class Watcher(Generic[Seen]):
    """The watch over one kind of resource of one connection.

    Without a list, for whatever reason, each resource is looked at in turn, slowly. A call that fails for a passing
    reason is repeated after a pause that doubles up to two minutes. There is no limit to that: what is waited for goes
    on, and the task's own timeout ends the wait.

    :param resource: makes the calls
    :param clock: seconds that never go back
    """

    def __init__(self, resource: Watched[Seen], clock: Callable[[], float] = time.monotonic) -> None:
        self._resource = resource
        self.kind = resource.KIND
        self._clock = clock
        self._waits: dict[str, list[Wait[Seen]]] = {}
        self._names = WatchList()
        self._wake = asyncio.Event()
        self._lists = CallBudget(LISTS_PER_SECOND, LIST_BURST, clock)
        self._looks = CallBudget(LOOKS_PER_SECOND, LOOK_BURST, clock)
        self._net_looks = CallBudget(NET_LOOKS_PER_SECOND, 1, clock)
        self._since = datetime.now(timezone.utc) - FIRST_LOOK_BACK
        self._list_at = self._quiet_until = float("-inf")
        self._lists_work = True
        self._net_is_out = False
        self._failed_lists = self._throttled_looks = 0
        self._failed_looks: dict[str, int] = {}

    @contextmanager
    def wait(self, name: str, interval_seconds: float) -> Iterator[Wait[Seen]]:
        """Hear of a resource, from a first look at it on.

        :param interval_seconds: pause between two lists that this wait would like; the shortest counts for all
        """
        wait: Wait[Seen] = Wait(interval_seconds)
        if name not in self._waits:
            self._waits[name] = []
            self._names.add(name)
        else:
            self._names.hasten(name)
        self._wake.set()
        self._waits[name].append(wait)
        try:
            yield wait
        finally:
            self._waits[name].remove(wait)
            if not self._waits[name]:
                del self._waits[name]
                self._names.drop(name)
                self._failed_looks.pop(name, None)

    def hasten(self, name: str) -> None:
        """Look at a resource at once, since something is said to have happened to it."""
        if name in self._waits:
            self._names.hasten(name)
            self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            while True:
                await self._turn()
        except Exception as error:
            # what must not happen: without this, all waits would go on for ever in silence
            for name in list(self._waits):
                self._tell(name, error)
            raise

    async def _turn(self) -> None:
        """List if it is time, then look at what is most pressing: lists that take long must not crowd out looks."""
        await asyncio.sleep(max(0.0, self._quiet_until - self._clock()))
        if self._clock() >= self._list_at:
            await self._list()
        now = self._clock()
        if now < self._quiet_until:
            return
        if names := self._names.due(now, BATCH):
            await asyncio.gather(*(self._look_at(name, self._looks) for name in names))
        elif overlooked := self._overlooked(now):
            await self._look_at(overlooked, self._net_looks)
        else:
            # or until a name is new, or has to be looked at at once
            await nap(self._wake, self._next_at(now) - now)
            self._wake.clear()

    def _next_at(self, now: float) -> float:
        """Return when there will be something to do if nothing happens."""
        later = self._names.wakes_at()
        times = [self._list_at, *([later] if later is not None else [])]
        return min(times if self._lists_work else [*times, now + self._interval_seconds])

    async def _list(self) -> None:
        """Hear what has changed since the last time, to the last page."""
        listed_at = self._clock()
        since, began_at, token = self._since, None, None
        try:
            while began_at is None or token:
                page = await self._call(self._lists, self._resource.page_of_changes, since, token)
                began_at, token = began_at or page.answered_at, page.next_token
                for name, seen in page.looks.items():
                    self._hear(name, seen)
        except Exception as error:  # noqa: BLE001 - whatever it is, the waits go on
            self._list_failed(error)
            return
        self._since = began_at - OVERLAP
        self._list_at = listed_at + pause_seconds(self._interval_seconds)
        self._lists_work = self._net_is_out = True
        self._failed_lists = 0

    def _hear(self, name: str, seen: Seen) -> None:
        """Take note of one line of a list, which says enough only about what goes on."""
        if name not in self._waits:
            return
        if not self._resource.is_changing(seen):
            self._names.hasten(name)
            return
        for wait in self._waits[name]:
            if wait.is_informed:
                wait.news.put_nowait(seen)

    def _overlooked(self, now: float) -> str | None:
        """Return the name to look at for safety's sake: one after each list, or one after the other without lists."""
        if not self._lists_work:
            return self._names.overlooked(now - self._interval_seconds)
        out, self._net_is_out = self._net_is_out, False
        return self._names.overlooked(now - OVERLOOKED_AFTER_SECONDS) if out else None

    async def _look_at(self, name: str, budget: CallBudget) -> None:
        try:
            seen = await self._call(budget, self._resource.look, name)
        except Exception as error:  # noqa: BLE001 - decided upon there
            if name in self._waits:
                self._look_failed(name, error)
            return
        self._throttled_looks = 0
        self._failed_looks.pop(name, None)
        if name not in self._waits:
            return
        if self._resource.is_changing(seen):
            self._names.looked(name, self._clock())
        else:
            self._names.put_off(name, self._clock() + pause_seconds(self._interval_seconds))
        for wait in self._waits[name]:
            wait.is_informed = True
        self._tell(name, seen)

    def _list_failed(self, error: Exception) -> None:
        """Go on without lists, and try again later."""
        self._failed_lists += 1
        pause, remedy = pause_seconds(self._interval_seconds, self._failed_lists), ""
        if is_permanent(error):
            pause, remedy = DENIED_FOR_SECONDS, f" Grant {self._resource.LIST_ACTION} to see ends sooner."
        self._list_at = self._clock() + pause
        self._lists_work = False
        self._tell_all(
            f"List {self._failed_lists} in a row failed; until the next one in {pause:.0f} s "
            f"each {self.kind.replace('_', ' ')} is looked at in turn.{remedy} {error}"
        )

    def _look_failed(self, name: str, error: Exception) -> None:
        if is_permanent(error):
            self._names.looked(name, self._clock())
            self._tell(name, error)
        elif is_throttled(error):
            self._names.put_off(name, self._clock())
            self._be_quiet(error)
        else:
            failures = self._failed_looks[name] = self._failed_looks.get(name, 0) + 1
            self._names.put_off(name, self._clock() + pause_seconds(self._interval_seconds, failures))
            self._tell(name, f"Look {failures} in a row failed, it will be repeated: {error}")

    def _be_quiet(self, error: Exception) -> None:
        """Make no call for a while; refusals of calls that were under way together count once."""
        if self._clock() < self._quiet_until:
            return
        self._throttled_looks += 1
        pause = pause_seconds(self._interval_seconds, self._throttled_looks)
        self._quiet_until = self._clock() + pause
        self._tell_all(f"Look {self._throttled_looks} in a row failed, it will be repeated in {pause:.0f} s: {error}")

    def _tell(self, name: str, news: Seen | Exception | str) -> None:
        for wait in self._waits.get(name, ()):
            wait.news.put_nowait(news)

    def _tell_all(self, text: str) -> None:
        _logger.warning("Watch over %d %ss: %s", len(self._waits), self.kind.replace("_", " "), text)
        for name in self._waits:
            self._tell(name, text)

    async def _call(self, budget: CallBudget, function: Callable[..., Answer], *given: Any) -> Answer:
        pause = budget.wait_seconds()
        budget.spend(1)
        await asyncio.sleep(pause)
        return await in_thread(function, *given)

    @property
    def _interval_seconds(self) -> float:
        wanted = (wait.interval_seconds for waits in self._waits.values() for wait in waits)
        return max(SHORTEST_INTERVAL_SECONDS, min(wanted, default=SHORTEST_INTERVAL_SECONDS))


class Wait(Generic[Seen]):
    """One wait's share of the watch: what it asks for, and the news that it has not read yet."""

    def __init__(self, interval_seconds: float) -> None:
        self.interval_seconds = interval_seconds
        self.news: asyncio.Queue[Seen | Exception | str] = asyncio.Queue()
        self.is_informed = False

    async def look(self, log: Logger) -> Seen:
        """Return the next look; the first one is complete, later ones may say only what a list shows.

        :param log: told what goes wrong and passes
        :raises Exception: what a look raised, when the same look would fail again
        """
        while True:
            news = await self.news.get()
            if isinstance(news, str):
                log.warning(news)
            elif isinstance(news, Exception):
                raise news
            else:
                return news


@contextmanager
def watching(
    name: str,
    connection: AwsConnection,
    hook: Callable[[AwsConnection], Watched[Seen]],
    *,
    interval_seconds: float,
    event_queue_url: str | None,
) -> Iterator[Wait[Seen]]:
    """Wait, together with all triggers of this process that wait for the same kind of resource.

    :param hook: the kind of resource, as the class that makes its calls
    :param event_queue_url: SQS queue with news of state changes; None does without
    """
    with (
        sharing((hook, connection.key), lambda: Watcher(hook(connection))) as watcher,
        watcher.wait(name, interval_seconds) as wait,
        hearing(connection, event_queue_url, watcher.kind, name, lambda: watcher.hasten(name)),
    ):
        yield wait
