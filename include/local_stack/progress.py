"""Follow one DAG run and say what its tasks do, a line for each change."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_stack.errors import RunFailedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_stack.airflow_api import AirflowApi
    from local_stack.process import Processes

__all__ = ["Progress"]

LOOK_SECONDS = 0.5
SAID_STATES = ("running", "deferred", "up_for_retry", "success", "failed", "skipped", "upstream_failed")
MARKS = {"success": "+", "failed": "x", "upstream_failed": "x", "skipped": "-", "up_for_retry": "!"}


@dataclass
class Progress:
    """One run being watched.

    :param limit_seconds: give up after this long, since a run that hangs would hang the terminal too
    """

    airflow: AirflowApi
    processes: Processes
    dag_id: str
    run_id: str
    say: Callable[[str], None] = print
    limit_seconds: float = 1800.0
    seen: dict[str, str] = field(default_factory=dict)

    def follow(self) -> None:
        """Return when the run has succeeded; raise RunFailedError with the reasons when it has not."""
        started = time.monotonic()
        while True:
            state = self.airflow.run_state(self.dag_id, self.run_id)
            tasks = self.airflow.task_instances(self.dag_id, self.run_id)
            self.report(tasks)
            if state == "success":
                return
            if state == "failed":
                raise RunFailedError("\n".join(["the run failed", *self.reasons(tasks)]))
            self.processes.check()
            if time.monotonic() - started > self.limit_seconds:
                raise RunFailedError(f"the run did not end within {self.limit_seconds:.0f} s")
            time.sleep(LOOK_SECONDS)

    def report(self, tasks: list[dict[str, Any]]) -> None:
        """Say which tasks have changed since the last look, in the order in which they ran."""
        for task in sorted(tasks, key=lambda task: task["start_date"] or "~"):
            state = task["state"]
            if state in SAID_STATES and self.seen.get(task["task_id"]) != state:
                self.seen[task["task_id"]] = state
                self.say(progress_line(task))

    def reasons(self, tasks: list[dict[str, Any]]) -> list[str]:
        """Return what the failed tasks' logs say of their errors."""
        failed = [task for task in tasks if task["state"] == "failed"]
        return [line for task in failed for line in self.reason(task)]

    def reason(self, task: dict[str, Any]) -> list[str]:
        """Return the error of one failed task."""
        log = self.airflow.task_log(self.dag_id, self.run_id, task["task_id"], task["try_number"])
        return [f"{task['task_id']}:", *(f"    {line}" for event in log[-12:] for line in event.splitlines())]


def progress_line(task: dict[str, Any]) -> str:
    """Return the line for a task that has changed its state."""
    state, duration = task["state"], task["duration"]
    took = f"{duration:6.1f} s" if state in MARKS and duration is not None else ""
    return f"  {MARKS.get(state, '.')} {task['task_id']:<30} {took:>8}  {state}".rstrip()
