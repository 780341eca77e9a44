"""How a wait ends its task: in the triggerer, where Airflow allows that, or on a worker.

Owns the choice of the event, and the push of what the task returns. What the end means is found out by the function
that the trigger brings along. A task that does not wait any more is not ended: Airflow ends whichever task has the
trigger's number, and on SQLite it gives the number of a wait that a person ended to the next one, at once. That one is
told to look for itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent, TriggerEvent

from sagemaker_byoc.errors import SageMakerByocError
from sagemaker_byoc.hooks.task_state import has_left
from sagemaker_byoc.retry import is_permanent
from sagemaker_byoc.triggers.shared import in_thread
from sagemaker_byoc.triggers.task_begin import TriggererTask

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from airflow.triggers.base import BaseTrigger

__all__ = ["FAILURE", "SUCCESS", "ending_event"]

SUCCESS, FAILURE = "success", "failure"
"""Ends of a task that may happen in the triggerer."""


async def ending_event(
    trigger: BaseTrigger,
    result: Callable[[], dict[str, Any]],
    payload: dict[str, Any],
    ends_task_on: Collection[str],
) -> TriggerEvent:
    """Return the event with which a trigger ends.

    :param result: returns what the task returns, or raises why it fails; it may block
    :param payload: for the worker that finds out the same, where the triggerer must not end the task
    :param ends_task_on: which ends may happen in the triggerer, of ``SUCCESS`` and ``FAILURE``
    """
    if SUCCESS not in ends_task_on:
        return TriggerEvent(payload)
    try:
        if await in_thread(has_left, trigger.task_instance, "deferred"):
            return TriggerEvent({"begin_again": True})
        await in_thread(lambda: push_result(trigger.task_instance, result()))
    except Exception as error:  # noqa: BLE001 - a worker raises it again, where that is not done here
        final = isinstance(error, SageMakerByocError) or is_permanent(error)
        if FAILURE not in ends_task_on or not final:
            return TriggerEvent(payload)
        trigger.log.error(str(error))  # noqa: TRY400 - the message tells the whole story
        return TaskFailedEvent()
    return TaskSuccessEvent()


def push_result(task_instance: Any, returned: dict[str, Any]) -> None:
    """Push what the task returns.

    Not with the event: Airflow 3.3 encodes the XComs of an event twice, so that another task would be given text.
    """
    TriggererTask(task_instance).xcom_push("return_value", returned)
