"""The pipe from a worker or a triggerer to Airflow, answered by the test."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

from airflow.sdk.api.datamodels._generated import DagRunState
from airflow.sdk.exceptions import AirflowRuntimeError, ErrorType
from airflow.sdk.execution_time.comms import (
    DagRunStateResult,
    ErrorResponse,
    GetDagRunState,
    GetXCom,
    OKResponse,
    SetXCom,
    TaskStatesResult,
    XComResult,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["note", "runs_are", "task_is"]


def note(try_number: int, triggerer: str = "another triggerer") -> dict[str, Any]:
    """Return what a wait notes of itself."""
    return {"try_number": try_number, "triggerer": triggerer}


@contextmanager
def task_is(
    state: str | None,
    *,
    run_id: str = "scheduled__2026-01-02",
    entry: str = "task",
    noted: dict[str, Any] | None = None,
) -> Iterator[mock.Mock]:
    """Let Airflow say that the task is in a state; None is a task without any, as right after clear. All runs go on.

    Yields the pipe; its ``xcoms`` hold what was written, its ``state`` may be changed.

    :param entry: the name that Airflow lists the task under
    :param noted: the note in the task's XComs that it waits
    """

    def send(question: Any) -> Any:
        if isinstance(question, SetXCom):
            pipe.xcoms[question.key] = question.value
            return OKResponse(ok=True)
        if isinstance(question, GetXCom):
            return XComResult(key=question.key, value=pipe.xcoms.get(question.key))
        if isinstance(question, GetDagRunState):
            return DagRunStateResult(state=DagRunState.RUNNING)
        return TaskStatesResult(task_states={run_id: {entry: pipe.state}})

    pipe = mock.Mock(send=mock.Mock(side_effect=send), asend=mock.AsyncMock(side_effect=send), state=state)
    pipe.xcoms = {"deferred_try": noted} if noted else {}
    with mock.patch("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", pipe, create=True):
        yield pipe


@contextmanager
def runs_are(states: Mapping[str, Any]) -> Iterator[None]:
    """Let Airflow say in which state DAG runs are, by their id; it knows no others."""

    def send(msg: Any) -> DagRunStateResult:
        if msg.run_id not in states:
            detail = {"status_code": 404, "detail": "DagRun not found"}
            raise AirflowRuntimeError(ErrorResponse(error=ErrorType.API_SERVER_ERROR, detail=detail))
        return DagRunStateResult(state=states[msg.run_id])

    pipe = mock.Mock(send=mock.Mock(side_effect=send))
    with mock.patch("airflow.sdk.execution_time.task_runner.SUPERVISOR_COMMS", pipe, create=True):
        yield
