"""Asks Airflow what has become of a task, from within the worker or the triggerer.

Owns the question whether a person ended a task that Airflow is tearing down. Knows no AWS service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["has_left", "is_superseded", "note_try"]

_TRY = "deferred_try"


def note_try(context: Mapping[str, Any]) -> None:
    """Write down, for ``is_superseded``, which try of the task is about to wait in the triggerer.

    A cleared task may be deferred again before the triggerer hears that its first wait is over; only the number of the
    try then tells the two waits apart.
    """
    ti = context["ti"]
    ti.xcom_push(key=_TRY, value=ti.try_number)


def has_left(task_instance: Any, state: str) -> bool:
    """Say whether the task is in another state than the given one, as after clear, mark failed or mark success.

    Airflow calls ``on_kill`` for those, but also when a worker shuts down and when a triggerer was slow and lost its
    triggers to another one: then the task is where it was, and what it started must go on. Blocks; needs the pipe to
    Airflow's API that worker and triggerer have.

    :param task_instance: what Airflow gives to the running task or trigger
    :param state: where a task is that goes on: ``running`` on a worker, ``deferred`` in the triggerer
    """
    from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

    states = RuntimeTaskInstance.get_task_states(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=task_instance.map_index,
    )
    # A mapped task is listed under its id and index, so the only entry is taken whatever its key.
    now = next(iter(states.get(task_instance.run_id, {}).values()), None)
    return bool(now != state)


def is_superseded(task_instance: Any) -> bool:
    """Say whether another try than this one was the last to note that it waits; blocks like ``has_left``."""
    from airflow.sdk.execution_time.xcom import XCom

    noted = XCom.get_value(ti_key=task_instance, key=_TRY)
    return noted is not None and int(noted) != int(task_instance.try_number)
