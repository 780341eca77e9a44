"""Asks Airflow what has become of a task, from within the worker or the triggerer.

Owns the question whether a person ended a task that Airflow is tearing down. Knows no AWS service.
"""

from __future__ import annotations

from typing import Any

__all__ = ["has_left"]


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
