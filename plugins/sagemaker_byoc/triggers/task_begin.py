"""What a trigger does for its task when no worker came before it, and how it pushes XComs.

Owns the question whether that is so. Knows no AWS service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.triggers.shared import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger
    from jinja2 import Environment

__all__ = ["TriggererTask", "begin", "is_unrendered", "strict_environment"]


class TriggererTask:
    """A task as its trigger knows it, where XComs are to be pushed for it.

    Airflow gives a trigger no task instance that can push by itself.
    """

    def __init__(self, task_instance: Any) -> None:
        self._task_instance = task_instance

    def forget_result(self) -> None:
        """Delete what an earlier try returned; blocks like ``xcom_push``."""
        from airflow.sdk.execution_time.xcom import XCom

        ti = self._task_instance
        if ti.try_number > 1:
            XCom.delete("return_value", ti.dag_id, ti.task_id, ti.run_id, ti.map_index)

    def xcom_push(self, key: str, value: Any) -> None:
        """Push an XCom; it blocks, and must be called outside the event loop."""
        from airflow.sdk.execution_time.xcom import XCom

        ti = self._task_instance
        place = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
        XCom.set(key=key, value=value, **place)


async def begin(trigger: BaseTrigger, push: Callable[[dict[str, Any]], None]) -> None:
    """Do what a worker would have done before the wait: forget an earlier try's result, and make the buttons.

    A button that cannot be made is no reason not to wait, so a failure is only logged.

    :param push: pushes the addresses of the task whose context it is given; it may block
    """
    # Airflow makes a whole task instance, with the task, only for a trigger that the scheduler started.
    if trigger.task is None:
        return
    try:
        task = TriggererTask(trigger.task_instance)
        await in_thread(task.forget_result)
        await in_thread(push, {"ti": task})
    except Exception as error:  # noqa: BLE001 - see above
        trigger.log.warning("The buttons to AWS could not be made: %s", error)


def is_unrendered(*values: Any) -> bool:
    """Tell whether a template came here as it is: the DAG was changed so that its waits need a worker to begin.

    Airflow then makes no context for the waits that began before, and renders nothing.
    """
    return any("{{" in str(value) or "{%" in str(value) for value in values)


def strict_environment() -> Environment:
    """Return the environment in which a template that names nothing known fails, as it does on a worker.

    Airflow's own one for triggers would make it empty text, and so another name, or another region.
    """
    from airflow.sdk.definitions._internal.templater import SandboxedEnvironment
    from jinja2 import StrictUndefined

    return SandboxedEnvironment(undefined=StrictUndefined, cache_size=0)
