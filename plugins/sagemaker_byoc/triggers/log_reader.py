"""The one reader of CloudWatch Logs that all waits of a connection share inside the triggerer.

Owns when it is read and for whom: the budget of calls, the pauses, what happens when a call fails. Whoever follows a
log is handed lines and never waits for another one. Nothing of a task is known here, also not its log: what the reader
itself has to say goes to the triggerer's.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from sagemaker_byoc.call_pace import CallBudget, CallPace
from sagemaker_byoc.hooks.job_log import denial, read_each, read_group
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.pause import DENIED_SECONDS
from sagemaker_byoc.retry import is_denied
from sagemaker_byoc.triggers.shared import nap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.job_log import JobLog

__all__ = ["Follower", "SharedLogReader"]

log = logging.getLogger(__name__)

FEW = 3
"""Up to so many jobs are read one by one, which costs one call each; more are read together."""

CHATTY_SECONDS = 60.0
"""How long jobs are read one by one after the group held too much to be read together."""

CALLS_PER_SECOND = 1.0
"""In the long run, of all followers of a connection. AWS allows 5 FilterLogEvents a second for the account and region.
Source: https://repost.aws/knowledge-center/cloudwatch-logs-throttling"""

LAST_CALLS_PER_SECOND = 2.0
"""The same for jobs that have ended, so that these never wait behind others."""


class Follower(Protocol):
    """What follows a job's log."""

    @property
    def job(self) -> JobLog:
        """The job's log."""

    @property
    def ending(self) -> bool:
        """Whether the job has ended and its last lines are waited for."""

    def deliver(self, lines: Sequence[str], *, last: bool) -> None:
        """Take new lines, possibly none; ``last`` when they were read after the job's end was known."""

    def deny(self, reason: str) -> None:
        """Learn that the log may not be read, perhaps not for the first time."""


@dataclass(frozen=True)
class _Reading:
    """Calls to make next: for whom, whether in one go, and out of which budget."""

    followers: Sequence[Follower]
    budget: CallBudget
    together: bool
    last: bool


class SharedLogReader:
    """Reads for its followers."""

    def __init__(self, connection: AwsConnection) -> None:
        self._hook = LogHook(connection)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="sagemaker-log")
        self._clock = asyncio.get_running_loop().time
        self._followers: dict[Follower, float] = {}  # and when it was last read
        self._round: list[Follower] = []
        self._round_has_news = False
        self._pace = CallPace()
        self._budget = CallBudget(CALLS_PER_SECOND, 5, self._clock)
        self._last_budget = CallBudget(LAST_CALLS_PER_SECOND, 10, self._clock)
        self._due = self._blocked_until = self._chatty_until = self._clock()
        self._denial = ""
        self._woken = asyncio.Event()

    def join(self, follower: Follower) -> None:
        """Begin to read for a follower."""
        self._followers[follower] = 0.0
        if self._denial:
            follower.deny(self._denial)
        due = self._clock() + self._pace.hurry()
        if due < self._due:
            self._due = due
            self._woken.set()

    def hurry(self, follower: Follower) -> None:
        """Read for a follower whose job has ended, before all others."""
        if self._denial:
            follower.deny(self._denial)
        self._woken.set()

    def leave(self, follower: Follower) -> None:
        """Read no more for a follower."""
        self._followers.pop(follower, None)
        self._round = [each for each in self._round if each is not follower]

    async def run(self) -> None:
        """Read until cancelled."""
        try:
            while True:
                self._woken.clear()
                await self._turn()
        finally:
            self._thread.shutdown(wait=False)

    async def _turn(self) -> None:
        wait_seconds, reading = self._next()
        if reading is None:
            await nap(self._woken, wait_seconds)
            return
        try:
            await self._read(reading)
        except Exception as error:  # noqa: BLE001 - the others go on, and so does this one after a pause
            reading.budget.spend(1)
            self._failed(error)

    def _next(self) -> tuple[float, _Reading | None]:
        """Return what is read next, or how many seconds to wait for that."""
        now = self._clock()
        if now < self._blocked_until:
            return self._blocked_until - now, None
        together = now >= self._chatty_until
        due = [reading for reading in (self._last(together=together), self._ordinary(together=together)) if reading]
        waits = [reading.budget.wait_seconds() for reading in due]
        for reading, wait_seconds in zip(due, waits, strict=True):
            if not wait_seconds:
                return 0.0, reading
        return min([*waits, self._due - now] if now < self._due else waits), None

    def _last(self, *, together: bool) -> _Reading | None:
        """Return the reading for jobs that have ended."""
        ending = [follower for follower in self._followers if follower.ending]
        together = together and len(ending) > 1  # what is late here delays the end of a task
        return _Reading(ending if together else ending[:1], self._last_budget, together, last=True) if ending else None

    def _ordinary(self, *, together: bool) -> _Reading | None:
        """Return the reading that the round has come to, if it is time."""
        if not self._round and self._clock() < self._due:
            return None
        if together and len(self._followers) > FEW:
            return _Reading(list(self._followers), self._budget, together, last=False)
        self._round = self._round or sorted(self._followers, key=self._followers.__getitem__)
        return _Reading(self._round[:1], self._budget, together=False, last=False)

    async def _read(self, reading: _Reading) -> None:
        jobs = [follower.job for follower in reading.followers]
        read = read_group if reading.together else read_each
        call = partial(read, self._hook, jobs, last=reading.last)
        found = await asyncio.get_running_loop().run_in_executor(self._thread, call)
        reading.budget.spend(found.calls)
        self._recovered()
        if not found.complete:
            self._chatty_until = self._clock() + CHATTY_SECONDS
        for follower, lines in zip(reading.followers, found.lines, strict=True):
            # What was not read to its end is read once more, one by one.
            follower.deliver(lines, last=reading.last and found.complete)
            if follower in self._followers:
                self._followers[follower] = self._clock()
        if not reading.last:
            self._went_round(reading, complete=found.complete, news=any(found.lines))

    def _went_round(self, reading: _Reading, *, complete: bool, news: bool) -> None:
        """Take note of a part of a round, and begin to pause when it was the last one."""
        self._round = [] if reading.together else [each for each in self._round if each not in reading.followers]
        self._round_has_news |= news
        if complete and not self._round:
            self._due = self._clock() + self._pace.after_success(news=self._round_has_news)
            self._round_has_news = False

    def _recovered(self) -> None:
        if self._pace.failures:
            log.info("Logs of training jobs can be read again.")
        self._denial = ""
        self._pace.failures = 0

    def _failed(self, error: Exception) -> None:
        if is_denied(error):
            self._denial = denial(error)
            self._blocked_until = self._clock() + DENIED_SECONDS
            for follower in self._followers:
                follower.deny(self._denial)
            return
        pause = self._pace.after_failure()
        self._blocked_until = self._clock() + pause
        if self._pace.failures == 1:
            log.warning("Logs of training jobs cannot be read now, it will be tried again: %s", error)
