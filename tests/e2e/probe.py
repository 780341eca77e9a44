"""What the end-to-end tests do with a run: start it, wait for what it does, act on it as a person would."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import boto3

from local_stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_stack.stack import Stack

LOOK_SECONDS = 0.3


def until(condition: Callable[[], Any], what: str, seconds: float = 120.0) -> Any:
    """Return the condition's first true value; fail when it stays false."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(LOOK_SECONDS)
    raise AssertionError(f"waited {seconds:.0f} s in vain until {what}")


def patiently(call: Callable[[], Any], what: str) -> Any:
    """Return the answer of Airflow's API, asked again where the API server and a task got in each other's way.

    Both write to SQLite, and after five seconds one of them gives up.
    """
    for _ in range(5):
        try:
            return call()
        except StackError as error:
            if "database is locked" not in str(error) and ": 500 " not in str(error):
                raise
    raise AssertionError(f"Airflow refused five times: {what}")


def aws(stack: Stack, service: str) -> Any:
    """Return a plain boto3 client of the stack's local AWS."""
    return boto3.client(
        service,
        endpoint_url=stack.aws_endpoint,
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )


@dataclass
class Run:
    """One DAG run."""

    stack: Stack
    dag_id: str
    run_id: str

    @classmethod
    def start(cls, stack: Stack, dag_id: str, **params: Any) -> Run:
        """Trigger a run as the UI's form does."""
        until(lambda: stack.airflow.has_dag(dag_id), f"the DAG {dag_id} is found")
        run_id = patiently(lambda: stack.airflow.trigger(dag_id, None, params), f"a run of {dag_id} starts")
        return cls(stack, dag_id, run_id)

    @property
    def path(self) -> str:
        """The run's place in Airflow's API."""
        return f"/dags/{self.dag_id}/dagRuns/{quote(self.run_id, safe='')}"

    def state(self, task_id: str) -> str | None:
        """Return a task's state."""
        state: str | None = self.task(task_id)["state"]
        return state

    def task(self, task_id: str) -> dict[str, Any]:
        """Return a task instance as Airflow reports it."""
        found: dict[str, Any] = self.stack.airflow.call("GET", f"{self.path}/taskInstances/{task_id}")
        return found

    def wait_for_task(self, task_id: str, *states: str) -> str:
        """Wait until a task is in one of the states, and return which."""

        def reached() -> str | None:
            state = self.state(task_id)
            return state if state in states else None

        return str(until(reached, f"{task_id} is {' or '.join(states)}"))

    def wait(self) -> str:
        """Wait for the end of the run and return its state."""

        def ended() -> str | None:
            state = self.stack.airflow.run_state(self.dag_id, self.run_id)
            return state if state in ("success", "failed") else None

        return str(until(ended, f"{self.run_id} ends", 300))

    def clear(self, *task_ids: str) -> None:
        """Clear tasks as a person does in the UI."""
        body = {
            "dry_run": False,
            "dag_run_id": self.run_id,
            "task_ids": list(task_ids),
            "only_failed": False,
            "include_downstream": False,
        }
        self.act("POST", f"/dags/{self.dag_id}/clearTaskInstances", body)

    def mark(self, task_id: str, state: str) -> None:
        """Mark a task as a person does in the UI."""
        self.act("PATCH", f"{self.path}/taskInstances/{task_id}", {"new_state": state})

    def mark_run(self, state: str) -> None:
        """Mark the run as a person does in the UI."""
        self.act("PATCH", self.path, {"state": state})

    def act(self, method: str, path: str, body: dict[str, Any]) -> None:
        """Do what a person does."""
        patiently(lambda: self.stack.airflow.call(method, path, json=body), f"{method} {path}")

    def log(self, task_id: str) -> str:
        """Return the log of a task's last try."""
        number = self.task(task_id)["try_number"]
        return "\n".join(self.stack.airflow.task_log(self.dag_id, self.run_id, task_id, number))

    def link(self, task_id: str, label: str) -> str:
        """Return where a task's button leads."""
        links = self.stack.airflow.call("GET", f"{self.path}/taskInstances/{task_id}/links")["extra_links"]
        return str(links[label])

    def xcom(self, task_id: str) -> Any:
        """Return what a task returned."""
        return self.stack.airflow.xcom(self.dag_id, self.run_id, task_id)

    def jobs(self) -> list[dict[str, Any]]:
        """Return the training jobs that carry this run's tag, oldest first."""
        client = aws(self.stack, "sagemaker")
        pages = client.get_paginator("list_training_jobs").paginate(SortBy="CreationTime", SortOrder="Ascending")
        jobs = [job for page in pages for job in page["TrainingJobSummaries"]]
        return [job for job in jobs if self.run_id in tag_values(client, job["TrainingJobArn"])]


def tag_values(client: Any, arn: str) -> list[str]:
    """Return the values of a resource's tags."""
    return [tag["Value"] for tag in client.list_tags(ResourceArn=arn)["Tags"]]
