"""One watch over all resources of a kind that triggers of this process wait for.

Owns the calls that many waits share: it asks AWS what has changed since it asked last, looks closely only at what ended
or was never looked at, and hands each wait its news. So calls grow with what happens and not with what is waited for.
Knows neither what is watched nor what the news mean.
"""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from sagemaker_byoc.call_pace import CallBudget
from sagemaker_byoc.pause import DENIED_SECONDS, pause_seconds
from sagemaker_byoc.retry import is_permanent, is_throttled
from sagemaker_byoc.triggers.event_stream import hearing
from sagemaker_byoc.triggers.shared import nap, sharing
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

LISTS_PER_SECOND, LIST_BURST = 1.0, 1
"""ListTrainingJobs takes about 2 calls a second for a whole account, and others need some of them. Source: its users
(https://github.com/aws-deepracer-community/deepracer-on-aws/issues/87); AWS documents no figure. The rate is used up
only by a list of many pages."""

LOOKS_PER_SECOND, LOOK_BURST = 5.0, 10
"""For DescribeTrainingJob and DescribeEndpoint no figure is known: a guess on the careful side."""

NET_LOOKS_PER_SECOND = 1.0
"""For looks that nothing but the time gives a reason for, when there may be no lists."""

SHORTEST_INTERVAL_SECONDS = 1.0
"""Between two lists, whatever a wait asks for."""

FIRST_LOOK_BACK = timedelta(minutes=15)
"""How far the first list goes back, so that what ended while no triggerer ran is seen at once."""

OVERLAP = timedelta(seconds=15)
"""How far each list reaches behind the one before, for changes that AWS lists late."""

OVERLOOKED_AFTER_SECONDS = 60.0
"""When the safety net takes up a name that no list has shown."""

WITHOUT_CREDENTIALS = 8
"""Looks in a row without any credentials, about nine minutes, after which a wait breaks off."""

BATCH = 4
"""Looks that are under way at the same time."""

TOLD_PER_SECOND = 100
"""Tasks that are told of one trouble of all: each line is written to the triggerer's supervisor, which reads slowly."""

_budgets: dict[tuple[str, str], Budgets] = {}
"""Of each connection and kind, for good: waits that follow each other must not begin with a full budget each time."""


class Budgets:
    """What may be called how often, for all waits of a connection for one kind of resource, however they come and go.

    :param clock: seconds that never go back
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.lists = CallBudget(LISTS_PER_SECOND, LIST_BURST, clock)
        self.looks = CallBudget(LOOKS_PER_SECOND, LOOK_BURST, clock)
        self.net = CallBudget(NET_LOOKS_PER_SECOND, 1, clock)


class Watcher(Generic[Seen]):
    """The watch over one kind of resource of one connection.

    Where lists are denied, each resource is looked at in turn, slowly. A call that fails for a passing reason is
    repeated after a pause that doubles up to two minutes. There is no limit to that: what is waited for goes on, and
    the task's own timeout ends the wait.

    :param resource: makes the calls
    :param budgets: outlive this watcher
    :param clock: seconds that never go back
    """

    def __init__(self, resource: Watched[Seen], budgets: Budgets, clock: Callable[[], float] = time.monotonic) -> None:
        self._resource = resource
        self.kind = resource.KIND
        self._clock = clock
        self._waits: dict[str, list[Wait[Seen]]] = {}
        self._names = WatchList()
        self._wake = asyncio.Event()
        self._budgets = budgets
        self._threads = ThreadPoolExecutor(BATCH + 1, thread_name_prefix="sagemaker-watch")
        self._since = datetime.now(timezone.utc) - FIRST_LOOK_BACK
        self._quiet_until = self._net_at = clock()
        self._denied = False
        self._in_flight: set[str] = set()
        self._hastened: set[str] = set()
        self._settled_until: dict[str, float] = {}
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
            self._wake.set()
        else:
            self.hasten(name)
        self._waits[name].append(wait)
        try:
            yield wait
        finally:
            self._waits[name].remove(wait)
            if not self._waits[name]:
                del self._waits[name]
                self._names.drop(name)
                self._failed_looks.pop(name, None)
                self._settled_until.pop(name, None)
                self._hastened.discard(name)

    def hasten(self, name: str) -> None:
        """Look at a resource at once, since something is said to have happened to it.

        A look that is under way may have been too early, so that another one follows. One that showed an end which has
        to be seen again keeps its pause: AWS may show what was before for a moment.
        """
        if name in self._in_flight:
            self._hastened.add(name)
        elif name in self._waits and self._clock() >= self._settled_until.get(name, float("-inf")):
            self._names.hasten(name)
            self._wake.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        parts = [asyncio.create_task(self._list_on()), asyncio.create_task(self._look_on())]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in parts:
                if part.done():
                    part.result()
        except Exception as error:
            # what must not happen: without this, all waits would go on for ever in silence
            for name in list(self._waits):
                self._tell(name, error)
            raise
        finally:
            for part in parts:
                part.cancel()
            self._threads.shutdown(wait=False)

    async def _list_on(self) -> None:
        """List again and again; looks go on meanwhile, since a list may have many pages."""
        while True:
            await asyncio.sleep(max(0.0, self._quiet_until - self._clock()))
            began_at = self._clock()
            pause = await self._list()
            await asyncio.sleep(max(0.0, began_at + pause - self._clock()))

    async def _look_on(self) -> None:
        """Look again and again at what is most pressing."""
        while True:
            await asyncio.sleep(max(0.0, self._quiet_until - self._clock()))
            now = self._clock()
            if names := self._names.due(now, BATCH):
                await asyncio.gather(*(self._look_at(name, self._budgets.looks) for name in names))
            elif overlooked := self._overlooked(now):
                await self._look_at(overlooked, self._budgets.net)
            else:
                # or until a name is new, or has to be looked at at once
                later = self._names.wakes_at()
                await nap(self._wake, max(0.0, min(self._net_at, later if later is not None else self._net_at) - now))
                self._wake.clear()

    async def _list(self) -> float:
        """Hear what has changed since the last time, to the last page; return the pause from one list to the next."""
        since, began_at, token = self._since, None, None
        try:
            while began_at is None or token:
                page = await self._call(self._budgets.lists, self._resource.page_of_changes, since, token)
                began_at, token = began_at or page.answered_at, page.next_token
                for name, seen in page.looks.items():
                    self._hear(name, seen)
        except Exception as error:  # noqa: BLE001 - whatever it is, the waits go on
            return self._list_failed(error)
        self._since = began_at - OVERLAP
        self._denied = False
        self._failed_lists = 0
        return pause_seconds(self._interval_seconds)

    def _hear(self, name: str, seen: Seen) -> None:
        """Take note of one line of a list, which says enough only about what goes on."""
        if name not in self._waits:
            return
        if not self._resource.is_changing(seen):
            self.hasten(name)
            return
        for wait in self._waits[name]:
            if wait.is_informed:
                wait.news.put_nowait(seen)

    def _overlooked(self, now: float) -> str | None:
        """Return the name to look at for safety's sake: one in each interval, or one after the other without lists."""
        if now < self._net_at:
            return None
        patience = self._interval_seconds if self._failed_lists else OVERLOOKED_AFTER_SECONDS
        name = self._names.overlooked(now - patience)
        if name is None or not self._denied:
            self._net_at = now + self._interval_seconds
        return name

    async def _look_at(self, name: str, budget: CallBudget) -> None:
        self._in_flight.add(name)
        try:
            seen = await self._call(budget, self._resource.look, name)
        except Exception as error:  # noqa: BLE001 - decided upon there
            if name in self._waits:
                self._look_failed(name, error)
            return
        finally:
            self._in_flight.discard(name)
        self._looked(name, seen)

    def _looked(self, name: str, seen: Seen) -> None:
        """Take note of a look, and hand it to all who wait."""
        hastened = name in self._hastened
        self._hastened.discard(name)
        self._throttled_looks = 0
        self._failed_looks.pop(name, None)
        if name not in self._waits:
            return
        if self._resource.is_changing(seen):
            self._names.looked(name, self._clock())
            if hastened:
                self.hasten(name)
        else:
            self._settled_until[name] = again_at = self._clock() + pause_seconds(self._interval_seconds)
            self._names.put_off(name, again_at)
        for wait in self._waits[name]:
            wait.is_informed = True
        self._tell(name, seen)

    def _list_failed(self, error: Exception) -> float:
        """Go on without lists; return the pause until the next one."""
        self._failed_lists += 1
        pause, remedy = pause_seconds(self._interval_seconds, self._failed_lists), ""
        if is_permanent(error):
            self._denied, self._net_at = True, self._clock()
            pause = DENIED_SECONDS
            remedy = f" Each is looked at in turn; grant {self._resource.LIST_ACTION} to see ends sooner."
        self._tell_all(f"List {self._failed_lists} in a row failed, the next one is in {pause:.0f} s.{remedy} {error}")
        return pause

    def _look_failed(self, name: str, error: Exception) -> None:
        if is_permanent(error) or self._lacks_credentials(name, error):
            self._names.looked(name, self._clock())
            self._tell(name, error)
        elif is_throttled(error):
            self._names.put_off(name, self._clock())
            self._be_quiet(error)
        else:
            failures = self._failed_looks[name] = self._failed_looks.get(name, 0) + 1
            self._names.put_off(name, self._clock() + pause_seconds(self._interval_seconds, failures))
            self._tell(name, f"Look {failures} in a row failed, it will be repeated: {error}")

    def _lacks_credentials(self, name: str, error: Exception) -> bool:
        """Tell whether there have been no credentials for so long that there will be none."""
        return type(error).__name__ == "NoCredentialsError" and self._failed_looks.get(name, 0) >= WITHOUT_CREDENTIALS

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
        """Tell the triggerer's log, and one task after the other."""
        _logger.warning("Watch over %d %ss: %s", len(self._waits), self.kind.replace("_", " "), text)
        loop = asyncio.get_running_loop()
        for number, name in enumerate(self._waits):
            loop.call_later(number / TOLD_PER_SECOND, self._tell, name, text)

    async def _call(self, budget: CallBudget, function: Callable[..., Answer], *given: Any) -> Answer:
        pause = budget.wait_seconds()
        budget.spend(1)
        await asyncio.sleep(pause)
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *given)

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
    hook: type[Watched[Seen]],
    *,
    interval_seconds: float,
    event_queue_url: str | None,
) -> Iterator[Wait[Seen]]:
    """Wait, together with all triggers of this process that wait for the same kind of resource.

    :param hook: the kind of resource, as the class that makes its calls
    :param event_queue_url: SQS queue with news of state changes; None does without
    """
    key = hook.__name__, connection.key
    with (
        sharing(key, lambda: Watcher(hook(connection), _budgets.setdefault(key, Budgets()))) as watcher,
        watcher.wait(name, interval_seconds) as wait,
        hearing(connection, event_queue_url, watcher.kind, name, lambda: watcher.hasten(name)),
    ):
        yield wait
