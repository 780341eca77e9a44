"""The pipe from a worker or a triggerer to Airflow, answered by the test."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["task_is"]


@contextmanager
def task_is(state: str | None, *, run_id: str = "scheduled__2026-01-02", entry: str = "task") -> Iterator[mock.Mock]:
    """Let Airflow say that the task is in a state; None is a task without any, as right after clear.

    :param entry: the name that Airflow lists the task under
    """
    answer: Any = SimpleNamespace(task_states={run_id: {entry: state}})
    pipe = mock.Mock(send=mock.Mock(return_value=answer))
    with mock.patch("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", pipe, create=True):
        yield pipe
