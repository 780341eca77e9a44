"""Looking again and again at one thing, in the triggerer without holding up its other triggers, or on a worker.

Owns the rhythm of looks and what happens when a look fails. Knows no AWS service. Waits that can share their looks do
that in ``triggers.watcher``.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Generic, TypeVar

from sagemaker_byoc.pause import pause_seconds
from sagemaker_byoc.retry import is_permanent
from sagemaker_byoc.triggers.shared import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.types import Logger

__all__ = ["Watch", "look_until", "look_until_on_worker"]

Seen = TypeVar("Seen")


class Watch(Generic[Seen]):
    """Looks that follow each other.

    A look that fails for a passing reason (throttling, network, a key that is being rotated) is logged and repeated
    after a pause that doubles up to two minutes. There is no limit to that: what is waited for goes on, and the task's
    own timeout ends the wait.

    :param done: says whether what was seen ends the wait
    :param interval_seconds: pause between two looks that succeed, or up to a fifth less
    """

    def __init__(
        self, done: Callable[[Seen], bool], look: Callable[[], Seen], *, interval_seconds: float, log: Logger
    ) -> None:
        self._done = done
        self._look = look
        self._interval_seconds = interval_seconds
        self._log = log
        self._failures = 0
        self.seen: list[Seen] = []

    def over(self) -> bool:
        """Look once; say whether the wait is over, with what ended it as the only item of ``seen``.

        :raises Exception: what the look raised, when the same look would fail again
        """
        try:
            seen = self._look()
        except Exception as error:
            if is_permanent(error):
                raise
            self._failures += 1
            self._log.warning("Look %d in a row failed, it will be repeated: %s", self._failures, error)
            return False
        self._failures = 0
        if self._done(seen):
            self.seen = [seen]
        return bool(self.seen)

    @property
    def pause_seconds(self) -> float:
        """How long to wait before the next look."""
        return pause_seconds(self._interval_seconds, self._failures)


async def look_until(
    done: Callable[[Seen], bool], look: Callable[[], Seen], *, interval_seconds: float, log: Logger
) -> Seen:
    """Look until ``done`` says so, with a pause before each look; the parameters are those of ``Watch``.

    :raises Exception: what the look raised, when the same look would fail again
    """
    watch = Watch(done, look, interval_seconds=interval_seconds, log=log)
    while True:
        await asyncio.sleep(watch.pause_seconds)
        if await in_thread(watch.over):
            return watch.seen[0]


def look_until_on_worker(
    done: Callable[[Seen], bool], look: Callable[[], Seen], *, interval_seconds: float, log: Logger
) -> Seen:
    """Look until ``done`` says so, at once and then after each pause; the parameters are those of ``Watch``.

    :raises Exception: what the look raised, when the same look would fail again
    """
    watch = Watch(done, look, interval_seconds=interval_seconds, log=log)
    while not watch.over():
        time.sleep(watch.pause_seconds)
    return watch.seen[0]
