"""How fast calls to AWS may follow each other.

Owns the arithmetic alone: it does not wait, and does not know what is called.
"""

from __future__ import annotations

__all__ = ["CallBudget"]


class CallBudget:
    """A rate that all callers share, of which a few calls may be used up at once.

    :param per_second: calls that may be made in a second, in the long run
    :param burst: calls that may be made at once after a time without any
    """

    def __init__(self, per_second: float, burst: int) -> None:
        self._spacing_seconds = 1 / per_second
        self._slack_seconds = (burst - 1) / per_second
        self._next_at = float("-inf")

    def reserve(self, now: float) -> float:
        """Take one call; return how many seconds to wait before it is made.

        :param now: seconds on a clock that never goes back
        """
        at = max(self._next_at, now - self._slack_seconds)
        self._next_at = at + self._spacing_seconds
        return max(0.0, at - now)
