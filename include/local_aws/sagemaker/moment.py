"""The time as SageMaker's answers give it.

Owns its precision. Must not know what happened at that time.
"""

from __future__ import annotations

import datetime as dt

__all__ = ["now"]


def now() -> dt.datetime:
    """Return the time in whole milliseconds, as it travels: a client filters lists by times that it was given."""
    moment = dt.datetime.now(dt.timezone.utc)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
