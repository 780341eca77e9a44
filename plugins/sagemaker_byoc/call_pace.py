"""How often something may be asked for.

Owns a budget of calls, and a pause that grows while nothing happens or while calls fail. Waits for nothing itself;
the clock is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_byoc.pause import pause_seconds

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CallBudget", "CallPace"]


class CallBudget:
    """Calls that may be made now, and how soon the next one.

    :param per_second: calls in the long run
    :param burst: calls that may follow each other at once after a rest
    :param clock: monotonic seconds
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_second = per_second
        self._burst = float(burst)
        self._clock = clock
        self._left = float(burst)
        self._at = clock()

    def spend(self, calls: int) -> None:
        """Take note of calls that were made, also when they are more than was left."""
        self._refill()
        self._left -= calls

    def wait_seconds(self) -> float:
        """Return how long to wait before the next call; 0 when it may be made now."""
        self._refill()
        return max(0.0, (1.0 - self._left) / self._per_second)

    def _refill(self) -> None:
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_second)
        self._at = now


class CallPace:
    """The pause until the next round of calls.

    :param shortest_seconds: while there are news
    :param longest_seconds: up to which the pause doubles while there are none
    :param first_failure_seconds: after the first of several failures, with each of which it doubles
    """

    def __init__(
        self,
        shortest_seconds: float = 5.0,
        longest_seconds: float = 30.0,
        *,
        first_failure_seconds: float = 2.0,
    ) -> None:
        self._shortest = shortest_seconds
        self._longest = longest_seconds
        self._first_failure = first_failure_seconds
        self._quiet = shortest_seconds
        self.failures = 0

    def after_success(self, *, news: bool) -> float:
        """Return the pause in seconds after a round that succeeded."""
        self.failures = 0
        self._quiet = self._shortest if news else min(self._quiet * 2, self._longest)
        return pause_seconds(self._quiet)

    def after_failure(self) -> float:
        """Return the pause in seconds after a round that failed."""
        self.failures += 1
        return pause_seconds(self._first_failure, self.failures - 1)

    def hurry(self) -> float:
        """Return the shortest pause, from which it grows again: there is somebody new."""
        self._quiet = self._shortest
        return pause_seconds(self._shortest)
