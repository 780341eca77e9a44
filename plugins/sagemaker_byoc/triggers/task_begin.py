"""What a trigger does for its task when no worker came before it, and how it pushes XComs.

Owns the question whether that is so. Knows no AWS service.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.triggers.shared import in_thread

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow.triggers.base import BaseTrigger

__all__ = ["TriggererTask", "show_links"]


class TriggererTask:
    """A task as its trigger knows it, where XComs are to be pushed for it.

    Airflow gives a trigger no task instance that can push by itself.
    """

    def __init__(self, task_instance: Any) -> None:
        self._task_instance = task_instance

    def xcom_push(self, key: str, value: Any) -> None:
        """Push an XCom; it blocks, and must be called outside the event loop."""
        from airflow.sdk.execution_time.xcom import XCom

        ti = self._task_instance
        place = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
        XCom.set(key=key, value=value, **place)


async def show_links(trigger: BaseTrigger, push: Callable[[dict[str, Any]], None]) -> None:
    """Give the waiting task the buttons that a worker would have given it.

    A button that cannot be made is no reason not to wait, so a failure is only logged.

    :param push: pushes the addresses of the task whose context it is given; it may block
    """
    # Airflow makes a whole task instance, with the task, only for a trigger that the scheduler started.
    if trigger.task is None:
        return
    try:
        await in_thread(push, {"ti": TriggererTask(trigger.task_instance)})
    except Exception as error:  # noqa: BLE001 - see above
        trigger.log.warning("The buttons to AWS could not be made: %s", error)
