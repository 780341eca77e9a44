"""How a run is followed and told."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from local_stack.airflow_api import AirflowApi
from local_stack.errors import RunFailedError
from local_stack.process import Processes
from local_stack.progress import Progress


def task(task_id: str, state: str, duration: float | None = None, start: str = "2026-01-01") -> dict[str, Any]:
    """Return a task instance as Airflow's API reports it."""
    return {"task_id": task_id, "state": state, "duration": duration, "start_date": start, "try_number": 1}


def watched(tmp_path: Any, looks: list[tuple[str, list[dict[str, Any]]]], said: list[str]) -> Progress:
    """Return the watch over a run that shows one state and task list after the other."""
    steps = iter(looks)
    now: list[tuple[str, list[dict[str, Any]]]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/taskInstances"):
            return httpx.Response(200, json={"task_instances": now[-1][1]})
        if "/logs/" in request.url.path:
            return httpx.Response(200, json={"content": [{"event": "the reason"}]})
        now.append(next(steps))
        return httpx.Response(200, json={"state": now[-1][0]})

    airflow = AirflowApi("http://airflow")
    airflow.http = httpx.Client(base_url="http://airflow/api/v2", transport=httpx.MockTransport(answer))
    processes = Processes(tmp_path / "register", tmp_path)
    return Progress(airflow, processes, "dag", "run", say=said.append)


def test_each_change_is_said_once(tmp_path: Any) -> None:
    """A task that stays as it is makes no line; one that ends shows how long it took."""
    said: list[str] = []
    running, done = task("train", "running"), task("train", "success", 2.5)
    watched(tmp_path, [("running", [running]), ("running", [running]), ("success", [done])], said).follow()
    assert [line.split() for line in said] == [[".", "train", "running"], ["+", "train", "2.5", "s", "success"]]


def test_a_failed_run_raises_with_the_reasons(tmp_path: Any) -> None:
    """What the failed task's log says is what the person at the terminal reads."""
    progress = watched(tmp_path, [("failed", [task("train", "failed", 1.0)])], [])
    with pytest.raises(RunFailedError, match=r"train:\n    the reason"):
        progress.follow()


def test_a_run_that_hangs_is_given_up(tmp_path: Any) -> None:
    """The terminal does not hang with a run that never ends."""
    progress = watched(tmp_path, [("running", [])], [])
    progress.limit_seconds = -1
    with pytest.raises(RunFailedError, match="did not end"):
        progress.follow()
