"""Looking again and again from within the triggerer, without holding up its other triggers.

Owns the rhythm of looks and what happens when a look fails. Knows no AWS service. boto3 blocks, so each look runs
in a thread; Airflow's connections can be read from there.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, TypeVar

from sagemaker_byoc.retry import is_permanent

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.types import Logger

__all__ = ["JITTER", "look_until"]

Seen = TypeVar("Seen")

JITTER = 0.2
"""Share by which a pause varies, so that waits that began together do not go on asking together."""

_LONGEST_PAUSE_SECONDS = 120.0


async def look_until(
    done: Callable[[Seen], bool], look: Callable[[], Seen], *, interval_seconds: float, log: Logger
) -> Seen:
    """Look until ``done`` says so, with a pause before each look.

    A look that fails for a passing reason (throttling, network) is logged and repeated after a pause that doubles
    up to two minutes. There is no limit to that: what is waited for goes on, and the task's own timeout ends the
    wait.

    :raises Exception: what the look raised, when the same look would fail again
    """
    failures = 0
    while True:
        await asyncio.sleep(_pause_seconds(interval_seconds, failures))
        try:
            seen = await asyncio.to_thread(look)
        except Exception as error:
            if is_permanent(error):
                raise
            failures += 1
            log.warning("Look %d in a row failed, it will be repeated: %s", failures, error)
            continue
        failures = 0
        if done(seen):
            return seen


def _pause_seconds(interval_seconds: float, failures: int) -> float:
    pause = interval_seconds * 2**failures if failures < 16 else _LONGEST_PAUSE_SECONDS
    bounded = min(pause, max(_LONGEST_PAUSE_SECONDS, interval_seconds))
    return bounded * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311 - spreads load, hides nothing
