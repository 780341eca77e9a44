"""Asks Airflow what has become of a task or a run, from within the worker or the triggerer.

Owns the question whether anybody still waits for what a task started, when Airflow tears the task down. Knows no AWS
service.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import uuid
from typing import Any

__all__ = ["has_left", "has_left_triggerer", "note_try_of", "run_has_ended"]

log = logging.getLogger(__name__)

_NOTE = "deferred_try"

_ENDED_ON_WORKER = frozenset({"failed", "success", "skipped", "upstream_failed", "removed", "restarting"})
"""Where a task is that a person ended while it ran; ``restarting`` is one that was cleared."""

_ENDED_RUN = frozenset({"failed", "success"})

_PAUSES_SECONDS = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Between looks for the note of a newer wait: a triggerer takes up 50 waits a second at most."""


async def note_try_of(task_instance: Any) -> None:
    """Write down which try of the task waits, and in which triggerer; a trigger calls it when it begins to run.

    ``has_left_triggerer`` reads it. The note is an XCom, since a triggerer can write one whether or not a worker ran
    before the wait. A failure is only logged: the wait is worth more than what the note is good for.

    :param task_instance: what Airflow gives to the running trigger
    """
    from airflow.sdk.execution_time.xcom import XCom

    try:
        await XCom.aset(
            key=_NOTE,
            value={"try_number": task_instance.try_number, "triggerer": _this_triggerer()},
            dag_id=task_instance.dag_id,
            task_id=task_instance.task_id,
            run_id=task_instance.run_id,
            map_index=task_instance.map_index,
        )
    except Exception as error:  # noqa: BLE001 - see above
        log.warning("It could not be noted which try waits; a clear may go unnoticed: %s", error)


def has_left(task_instance: Any, state: str) -> bool:
    """Say whether the task is where nobody waits any more, as after clear, mark failed or mark success.

    Airflow calls ``on_kill`` for those, but also when a worker shuts down, when a scheduler takes a task of a crashed
    one for lost and starts its next try, and when a triggerer was slow and lost its triggers to another one: then
    somebody goes on waiting, and what the task started must go on. Blocks; needs the pipe to Airflow's API that worker
    and triggerer have.

    :param task_instance: what Airflow gives to the running task or trigger
    :param state: where a task is that goes on: ``running`` on a worker, ``deferred`` in the triggerer
    """
    now = _state_of(task_instance)
    return now in _ENDED_ON_WORKER if state == "running" else now != state


def run_has_ended(dag_id: str, run_id: str) -> bool | None:
    """Say whether a DAG run is over; None when Airflow does not tell.

    It does not know runs of another Airflow, nor deleted ones, and it may be away for a moment. Blocks like
    ``has_left``.
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    try:
        return RuntimeTaskInstance.get_dagrun_state(dag_id, run_id) in _ENDED_RUN
    except Exception as error:  # noqa: BLE001 - whatever it is, the run may be going on
        log.debug("Airflow does not say what the run %s of %s does: %s", run_id, dag_id, error)
        return None


async def has_left_triggerer(task_instance: Any) -> bool:
    """Say whether nobody waits any more for what a trigger watched, when Airflow has called its ``on_kill``.

    A cleared task may be deferred again, by the scheduler alone, before the triggerer hears that its first wait is
    over. Its state then is that of a task whose triggerer was only slow and lost it to another one. What tells them
    apart is who noted last that it waits: a later try, or the same try in another triggerer. Either note may be yet to
    come, so this looks again for a minute; after that the task is taken for moved.

    :raises Exception: what the last look raised, if it failed
    """
    for pause_seconds in (*_PAUSES_SECONDS, None):
        try:
            left = await asyncio.to_thread(_look, task_instance)
        except Exception:
            if pause_seconds is None:
                raise
            left = None
        if left is not None or pause_seconds is None:
            break
        await asyncio.sleep(pause_seconds)
    return bool(left)


def _look(task_instance: Any) -> bool | None:
    """Say whether nobody waits any more; None when that cannot be told yet."""
    if has_left(task_instance, "deferred"):
        return True
    noted_try, triggerer = _note_of(task_instance)
    own_try = int(task_instance.try_number)
    if noted_try == own_try and triggerer != _this_triggerer():
        return False
    # An older note is of before a clear: the one of this wait was never written.
    return True if noted_try > own_try else None


def _note_of(task_instance: Any) -> tuple[int, str]:
    from airflow.sdk.execution_time.xcom import XCom

    noted = XCom.get_value(ti_key=task_instance, key=_NOTE) or {"try_number": 0, "triggerer": ""}
    return int(noted["try_number"]), str(noted["triggerer"])


def _state_of(task_instance: Any) -> str | None:
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    )
    # A mapped task is listed under its id and index, so the only entry is taken whatever its key.
    state: str | None = next(iter(states.get(task_instance.run_id, {}).values()), None)
    return state


@functools.cache
def _this_triggerer() -> str:
    """Return a word that no other triggerer has, nor this one after a restart."""
    return uuid.uuid4().hex
