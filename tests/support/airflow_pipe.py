"""The pipe from a worker or a triggerer to Airflow, answered by the test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from airflow.sdk.execution_time.comms import GetXCom, TaskStatesResult, XComResult

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["task_is"]


@contextmanager
def task_is(
    state: str | None, *, run_id: str = "scheduled__2026-01-02", entry: str = "task", noted_try: int | None = None
) -> Iterator[mock.Mock]:
    """Let Airflow say that the task is in a state; None is a task without any, as right after clear.

    :param entry: the name that Airflow lists the task under
    :param noted_try: what the task's XComs hold as the try that waits
    """

    def send(question: Any) -> Any:
        if isinstance(question, GetXCom):
            return XComResult(key=question.key, value=noted_try)
        return TaskStatesResult(task_states={run_id: {entry: state}})

    pipe = mock.Mock(send=mock.Mock(side_effect=send))
    with mock.patch("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", pipe, create=True):
        yield pipe
