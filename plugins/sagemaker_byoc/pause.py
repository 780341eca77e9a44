"""How long to wait between two looks.

Owns the arithmetic alone; what is looked at, and who waits, is not known here.
"""

from __future__ import annotations

import random

__all__ = ["DENIED_SECONDS", "JITTER", "LONGEST_PAUSE_SECONDS", "pause_seconds"]

JITTER = 0.2
"""Share by which a pause is shorter at most, so that those that began together do not go on asking together."""

DENIED_SECONDS = 600.0
"""How long nobody asks again after AWS has said that a call is not allowed."""

LONGEST_PAUSE_SECONDS = 120.0
"""What failures make a pause grow to, unless it was longer to begin with."""


def pause_seconds(interval_seconds: float, failures: int = 0) -> float:
    """Return the pause before the next look, or up to a fifth less.

    :param interval_seconds: between two looks that succeed
    :param failures: how many looks in a row have failed; each doubles the pause, up to two minutes
    """
    longest = max(LONGEST_PAUSE_SECONDS, interval_seconds)
    pause = min(interval_seconds * 2.0 ** min(failures, 16), longest)
    return pause * random.uniform(1 - JITTER, 1)  # noqa: S311 - spreads load, hides nothing
