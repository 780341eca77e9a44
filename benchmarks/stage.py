"""What the benchmarks of waits run on: the edge, and a real triggerer of either side.

Owns the start and the end of these processes, and what is read off them. A side is an Airflow environment with DAGs:
``ours`` the project's own, ``stock`` that of ``requirements-stock.txt``. Both run the same version of Airflow, each in
a home of its own under ``.local/benchmarks``.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import httpx
import psutil

from local_stack.airflow_parts import airflow_environment, part_commands
from local_stack.home import CHECKOUT, Home
from local_stack.port import free_port
from local_stack.process import Processes
from local_stack.stack import prepare_database

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

__all__ = ["EdgeClient", "Side", "Triggerer", "prepared_airflow", "running_edge", "running_triggerer", "until"]

BENCHMARKS = CHECKOUT / "benchmarks"
HOMES = CHECKOUT / ".local" / "benchmarks"
REGION = "us-east-1"
LOOK_SECONDS = 0.05
START_SECONDS = 90.0
ROOM = 100
"""Capacity beyond the waits: for the probe, and because a full triggerer says so in its log many times a second."""


@dataclass(frozen=True)
class Side:
    """One of the two that are compared.

    :param name: ``ours`` or ``stock``; names the folder of DAGs
    :param label: what a table calls it
    :param sensor: parameters of our sensor that are not left at their defaults
    """

    name: str
    label: str
    sensor: Mapping[str, Any] = field(default_factory=dict)

    @property
    def environment_folder(self) -> Path:
        """The Python environment."""
        return CHECKOUT / {"ours": ".venv", "stock": ".venv-stock"}[self.name]

    @property
    def home(self) -> Home:
        """Where its Airflow keeps everything."""
        return Home(HOMES / self.name)

    def environment(self, aws_endpoint: str, port: int, settings: Mapping[str, str]) -> dict[str, str]:
        """Return the environment of its processes."""
        plugins = CHECKOUT / "plugins" if self.name == "ours" else self.home.root / "no-plugins"
        settings = {
            "CORE__DAGS_FOLDER": str(BENCHMARKS / "dags" / self.name),
            "CORE__PLUGINS_FOLDER": str(plugins),
            **settings,
        }
        environment = airflow_environment(
            self.home, os.environ, port=port, aws_endpoint=aws_endpoint, region=REGION, scheduled=False
        )
        return (
            environment
            | {"PATH": f"{self.environment_folder / 'bin'}:{os.environ['PATH']}"}
            | {"PYTHONPATH": f"{BENCHMARKS / 'in_airflow'}:{plugins}"}
            | {f"AIRFLOW__{name}": value for name, value in settings.items()}
            | {"BENCHMARK_SENSOR": json.dumps(dict(self.sensor))}
        )

    def part_command(self, part: str, port: int) -> list[str]:
        """Return the command of a part of its Airflow."""
        return [str(self.environment_folder / "bin" / "airflow"), *part_commands(port)[part][1:]]


@dataclass
class EdgeClient:
    """The benchmark's own calls to the edge."""

    url: str

    def create_jobs(self, names: Iterable[str]) -> None:
        """Put jobs in progress."""
        self._post("jobs", list(names))

    def plan_ends(self, seconds_from_now: Mapping[str, float]) -> dict[str, float]:
        """Let jobs end later; return the moments in seconds since 1970."""
        moments: dict[str, float] = self._post("ends", seconds_from_now)
        return moments

    def reset_calls(self) -> None:
        """Count from zero."""
        self._post("reset-calls")

    def state(self) -> dict[str, Any]:
        """Return ``calls`` by action, and how many jobs were ever ``described``."""
        state: dict[str, Any] = self._post("state")
        return state

    def _post(self, what: str, content: Any = None) -> Any:
        return httpx.post(f"{self.url}/_edge/{what}", json=content, trust_env=False, timeout=60).json()


@dataclass
class Triggerer:
    """A real triggerer that runs.

    :param process: its first process, which talks to the database; the triggers are in the child
    """

    side: Side
    environment: dict[str, str]
    process: psutil.Process
    probe: Path

    @cached_property
    def runner(self) -> psutil.Process:
        """The process that runs the triggers."""
        [child] = self.process.children()
        return child

    def lags(self, begin: float, end: float) -> list[float]:
        """Return how late, in seconds, the event loop's ticks between two moments were, in order of size."""
        ticks = [line.split() for line in self.probe.read_text().splitlines()]
        return sorted(float(late) for moment, late in ticks if begin <= float(moment) <= end)

    def release(self) -> None:
        """Let the triggerer take up all waits."""
        with closing(self._database()) as database, database:
            database.execute("update trigger set queue = null")

    def assigned(self) -> int:
        """Return how many triggers the triggerer has taken up."""
        with closing(self._database()) as database:
            [[count]] = database.execute("select count(*) from trigger where triggerer_id is not null")
        return int(count)

    def over(self) -> dict[str, str]:
        """Return the waits that are over, as their tasks are not deferred any more: the state of each task."""
        query = "select run_id, state from task_instance where dag_id = 'waits' and state != 'deferred'"
        with closing(self._database()) as database:
            return dict(database.execute(query))

    def _database(self) -> sqlite3.Connection:
        return sqlite3.connect(self.side.home.database, timeout=60)


@contextmanager
def running_edge() -> Iterator[EdgeClient]:
    """Run the edge until the block ends."""
    home = Home(HOMES / "edge")
    with home.locked():
        processes = Processes(home.processes, home.logs)
        processes.reap()
        home.clear()
        ready = home.logs / "url"
        try:
            processes.start("edge", [sys.executable, str(BENCHMARKS / "edge.py"), str(ready)], os.environ, CHECKOUT)
            until(lambda: ready.exists() and ready.read_text(), processes)
            yield EdgeClient(ready.read_text())
        finally:
            processes.stop()


@contextmanager
def running_triggerer(
    side: Side, edge: EdgeClient, names: list[str], settings: Mapping[str, str] | None = None
) -> Iterator[Triggerer]:
    """Run a triggerer that has nothing to do yet but its probe, with waits for these jobs held back.

    :param settings: of Airflow, as ``SECTION__KEY``
    """
    capacity = {"TRIGGERER__CAPACITY": str(len(names) + ROOM)}
    with prepared_airflow(side, edge.url, {**capacity, **(settings or {})}) as airflow:
        probe = side.home.logs / "lags"
        defer(side, airflow.environment, {"names": names, "probe": str(probe)})
        airflow.start("triggerer")
        until(probe.exists, airflow.processes)
        process = psutil.Process(airflow.processes.running["triggerer"].pid)
        yield Triggerer(side, airflow.environment, process, probe)


@dataclass(frozen=True)
class PreparedAirflow:
    """A side's Airflow with an empty database, of which nothing runs that was not started.

    :param port: of the API server
    :param environment: of every part
    """

    side: Side
    port: int
    environment: dict[str, str]
    processes: Processes

    def start(self, part: str) -> None:
        """Start a part, for example ``triggerer``."""
        self.processes.start(part, self.side.part_command(part, self.port), self.environment, CHECKOUT)


@contextmanager
def prepared_airflow(side: Side, aws_endpoint: str, settings: Mapping[str, str]) -> Iterator[PreparedAirflow]:
    """Make a side's home anew, and end whatever was started there with the block.

    :param settings: of Airflow, as ``SECTION__KEY``
    """
    home = side.home
    with home.locked():
        processes = Processes(home.processes, home.logs)
        processes.reap()
        home.clear()
        (home.root / "no-plugins").mkdir(exist_ok=True)
        port = free_port(0)
        environment = side.environment(aws_endpoint, port, settings)
        prepare_database(home, environment)
        try:
            yield PreparedAirflow(side, port, environment, processes)
        finally:
            processes.stop()


def defer(side: Side, environment: dict[str, str], what: dict[str, Any]) -> None:
    """Write the deferred tasks into the side's database."""
    log = side.home.logs / "deferred.log"
    command = [str(side.environment_folder / "bin" / "python"), str(BENCHMARKS / "in_airflow" / "deferred.py")]
    with log.open("w") as output:
        code = subprocess.run(
            command, env=environment, input=json.dumps(what), text=True, stdout=output, stderr=output, check=False
        ).returncode
    if code:
        raise SystemExit(f"{side.label}: no deferred tasks, see {log}: {log.read_text()[-500:]}")


def until(
    condition: Callable[[], Any],
    processes: Processes | None = None,
    seconds: float = START_SECONDS,
    pause_seconds: float = LOOK_SECONDS,
) -> None:
    """Return when the condition holds; end the benchmark when it does not within the time."""
    end = time.monotonic() + seconds
    while not condition():
        if processes:
            processes.check()
        if time.monotonic() > end:
            raise SystemExit(f"waited {seconds:.0f} s in vain")
        time.sleep(pause_seconds)
