"""Looking again and again from within the triggerer, without holding up its other triggers.

Owns the rhythm of looks, what happens when a look fails, and the question whether a person ended the task. Knows no
AWS service. boto3 blocks, so each look runs in a thread; Airflow's connections can be read from there.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any, TypeVar

from sagemaker_byoc.retry import is_permanent

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.sdk.types import Logger, RuntimeTaskInstanceProtocol

__all__ = ["JITTER", "look_until", "was_ended_by_a_person"]

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


async def was_ended_by_a_person(task_instance: RuntimeTaskInstanceProtocol | Any) -> bool:
    """Say whether the task is not deferred any more, as after clear, mark failed or mark success.

    A triggerer that was slow and lost its triggers to another one gets the same call as for a user's kill, while
    the task waits on; what it started must not be stopped then.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = await asyncio.to_thread(
        RuntimeTaskInstance.get_task_states,
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    )
    # A mapped task is listed under its id and index, so the only entry is taken whatever its key.
    state = next(iter(states.get(task_instance.run_id, {}).values()), None)
    return bool(state != "deferred")
