"""Runs a task as Airflow does, through all its deferrals, without Airflow's processes."""

from __future__ import annotations

import asyncio
import importlib
import json
from dataclasses import dataclass, field
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import TaskDeferred
from airflow.triggers.base import TaskFailedEvent, TaskSuccessEvent

from tests.support.airflow_pipe import task_is

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator
    from airflow.triggers.base import BaseTrigger, TriggerEvent

__all__ = ["FailedInTriggererError", "TaskRun", "event_of", "fired", "remade"]


class FailedInTriggererError(Exception):
    """Raised for a task that its trigger has ended as failed, which Airflow keeps no exception of."""


@dataclass
class TaskRun:
    """One task of one run, as the task itself sees it.

    :param max_tries: raised by clearing the task
    :param try_number: counts all tries, also across a clear
    :param xcoms: what the task pushed by itself
    :param deferrals: the triggers that it waited with
    """

    task_id: str = "task"
    run_id: str = "scheduled__2026-01-02"
    logical_date: datetime | None = datetime(2026, 1, 2, tzinfo=timezone.utc)
    data_interval_start: datetime | None = None
    max_tries: int = 2
    try_number: int = 1
    xcoms: dict[str, Any] = field(default_factory=dict)
    deferrals: list[BaseTrigger] = field(default_factory=list)

    @property
    def context(self) -> Any:
        """The parts of Airflow's context that the package reads."""
        task_instance = SimpleNamespace(
            dag_id="retrain",
            run_id=self.run_id,
            task_id=self.task_id,
            map_index=-1,
            max_tries=self.max_tries,
            try_number=self.try_number,
            xcom_push=lambda key, value: self.xcoms.update({key: json.loads(json.dumps(value))}),
        )
        dag_run = SimpleNamespace(
            logical_date=self.logical_date,
            data_interval_start=self.data_interval_start,
            run_type="scheduled",
            run_id=self.run_id,
        )
        return {"ti": task_instance, "task_instance": task_instance, "dag_run": dag_run, "run_id": self.run_id}

    def of(self, operator: BaseOperator) -> Any:
        """Run the operator to its end; return what it returns, as XCom would hold it."""
        try:
            result = operator.execute(self.context)
        except TaskDeferred as deferral:
            result = self._resume(operator, deferral)
        return json.loads(json.dumps(result))

    def _resume(self, operator: BaseOperator, deferral: TaskDeferred) -> Any:
        while True:
            self.deferrals.append(deferral.trigger)
            trigger = remade(deferral.trigger)
            trigger._task_instance = self.context["ti"]
            with task_is("deferred") as pipe:
                event = fired(trigger)
            if isinstance(event, TaskFailedEvent):
                raise FailedInTriggererError
            if isinstance(event, TaskSuccessEvent):
                assert event.xcoms is None, "Airflow would encode it twice"
                return pipe.xcoms["return_value"]
            kwargs = {**json.loads(json.dumps(deferral.kwargs or {})), "event": json.loads(json.dumps(event.payload))}
            try:
                return operator.resume_execution(deferral.method_name, kwargs, self.context)
            except TaskDeferred as another:
                deferral = another


def remade(trigger: BaseTrigger) -> Any:
    """Make the trigger again from what the database keeps of it."""
    path, kwargs = trigger.serialize()
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)(**json.loads(json.dumps(kwargs)))


def event_of(trigger: BaseTrigger) -> Any:
    """Run the trigger until it fires; return the event's payload as the database keeps it."""
    return json.loads(json.dumps(fired(trigger).payload))


def fired(trigger: BaseTrigger) -> TriggerEvent:
    """Run the trigger until it fires."""

    async def first() -> TriggerEvent:
        async for event in trigger.run():
            return event
        raise AssertionError("the trigger ended without an event")

    return asyncio.run(first())
