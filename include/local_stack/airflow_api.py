"""Airflow's public REST API, as much of it as the stack needs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import httpx

from local_stack.errors import StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["AirflowApi"]


@dataclass
class AirflowApi:
    """A client of one API server on this machine.

    :param address: for example ``http://127.0.0.1:8080``
    """

    address: str
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        # trust_env off: a proxy of the user's must not see, or break, a call to loopback
        self.http = httpx.Client(base_url=f"{self.address}/api/v2", trust_env=False, timeout=30)

    def log_in(self, username: str | None = None, password: str | None = None) -> None:
        """Fetch the token that every other call needs.

        :param username: None where Airflow takes everybody for an admin
        :raises httpx.HTTPStatusError: wrong name or password
        """
        address = f"{self.address}/auth/token"
        if username is None:
            answer = httpx.get(address, trust_env=False, timeout=30)
        else:
            login = {"username": username, "password": password}
            answer = httpx.post(address, json=login, trust_env=False, timeout=30)
        answer.raise_for_status()
        self.http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"

    def health(self) -> dict[str, str | None]:
        """Return the status of each part by name; empty while the API server does not answer."""
        try:
            answer = self.http.get("/monitor/health")
            answer.raise_for_status()
        except httpx.HTTPError:
            return {}
        return {part: report.get("status") for part, report in answer.json().items()}

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Return the decoded answer of one call; raise StackError with Airflow's own words when it refuses."""
        answer = self.http.request(method, path, **arguments)
        if answer.is_error:
            raise StackError(f"Airflow refused {method} {path}: {answer.status_code} {answer.text[:500]}")
        return answer.json() if answer.content else None

    def import_errors(self) -> list[str]:
        """Return what the dag processor could not import, one text a file."""
        found = self.call("GET", "/importErrors")["import_errors"]
        return [f"{error['filename']}: {error['stack_trace'].strip().splitlines()[-1]}" for error in found]

    def has_dag(self, dag_id: str) -> bool:
        """Tell whether the DAG can be run: its row alone is there a moment before its serialized form."""
        return not self.http.get(f"/dags/{dag_id}/details").is_error

    def set_variable(self, key: str, value: str, description: str) -> None:
        """Create an Airflow Variable."""
        self.call("POST", "/variables", json={"key": key, "value": value, "description": description})

    def trigger(self, dag_id: str, logical_date: str | None, conf: dict[str, Any]) -> str:
        """Start a run and return its id."""
        body = {"logical_date": logical_date, "conf": conf}
        run_id: str = self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"]
        return run_id

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return ``queued``, ``running``, ``success`` or ``failed``."""
        state: str = self.call("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")["state"]
        return state

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the run's task instances as Airflow reports them."""
        found = self.call("GET", f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances")
        return list(found["task_instances"])

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return a task's XCom, None when there is none."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/xcomEntries/{key}"
        answer = self.http.get(path, params={"deserialize": "false"})
        return None if answer.is_error else answer.json()["value"]

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int) -> list[str]:
        """Return the events of one try's log, in order."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances/{task_id}/logs/{try_number}"
        content = self.call("GET", path, params={"full_content": "true"}, headers={"Accept": "application/json"})
        return [text for entry in content["content"] for text in entry_texts(entry)]


def entry_texts(entry: Any) -> Iterator[str]:
    """Yield the text of a log entry, why a task was skipped, and the error; what the frames say is left to the UI."""
    if not isinstance(entry, dict):
        yield str(entry)
        return
    yield entry["event"]
    if entry.get("reason"):
        yield str(entry["reason"])
    for error in entry.get("error_detail") or []:
        yield f"{error['exc_type']}: {error['exc_value']}"
