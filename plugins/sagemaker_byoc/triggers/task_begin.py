"""What a trigger does for its task beside the wait, since no worker may have come before it, and how it pushes XComs.

Owns what is done, and in whose turn: all of it are requests to Airflow, which takes few at a time. Knows no AWS
service.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from sagemaker_byoc.hooks.task_state import note_try_of
from sagemaker_byoc.triggers.shared import in_thread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from airflow.triggers.base import BaseTrigger
    from jinja2 import Environment

__all__ = ["TriggererTask", "beginning", "is_unrendered", "strict_environment"]

AT_ONCE = 2
"""How many begins of a process ask Airflow at the same time. A triggerer's supervisor takes one request at each turn of
its loop, and with ten thousand waits a turn takes most of a second: what ends must not stand behind all that begin."""

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore] = WeakKeyDictionary()


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


@asynccontextmanager
async def beginning(
    trigger: BaseTrigger, push: Callable[[dict[str, Any]], None], *, notes_try: bool = False
) -> AsyncIterator[None]:
    """Do beside the wait, which is the block, what a worker would have done before it; it is done when the block ends.

    That is to forget an earlier try's result, and to make the buttons. The wait does not stand behind it, since with
    thousands of waits that would take minutes.

    :param push: pushes the addresses of the task whose context it is given; it may block
    :param notes_try: also write down which try waits, for ``on_kill``
    """
    begin = _Begin(trigger, push, notes_try=notes_try)
    try:
        yield
    except Exception:
        await begin.finish()
        raise
    else:
        await begin.finish()
    finally:
        begin.cancel()


class _Begin:
    """One begin, which waits for its turn, or is done at once when it is needed."""

    def __init__(self, trigger: BaseTrigger, push: Callable[[dict[str, Any]], None], *, notes_try: bool) -> None:
        self._trigger = trigger
        self._push = push
        self._notes_try = notes_try
        self._has_turn = False
        self._waiting = asyncio.create_task(self._in_turn())

    async def finish(self) -> None:
        """Return when it is done."""
        if self._has_turn:
            await self._waiting
            return
        self._waiting.cancel()
        await self._do()

    def cancel(self) -> None:
        """Leave it, since the wait goes on elsewhere."""
        self._waiting.cancel()

    async def _in_turn(self) -> None:
        turns = _turns.setdefault(asyncio.get_running_loop(), asyncio.Semaphore(AT_ONCE))
        async with turns:
            self._has_turn = True
            await self._do()

    async def _do(self) -> None:
        if self._notes_try:
            await note_try_of(self._trigger.task_instance)
        # Airflow makes a whole task instance, with the task, only for a trigger that the scheduler started.
        if self._trigger.task is None:
            return
        try:
            task = TriggererTask(self._trigger.task_instance)
            await in_thread(task.forget_result)
            await in_thread(self._push, {"ti": task})
        except Exception as error:  # noqa: BLE001 - a button that cannot be made is no reason not to wait
            self._trigger.log.warning("The buttons to AWS could not be made: %s", error)


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
