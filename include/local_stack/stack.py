"""The stack itself: what starts in which order, and when it counts as up."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local_stack.airflow_api import AirflowApi
from local_stack.airflow_parts import airflow_command, airflow_environment, part_commands, part_environment
from local_stack.engine import PROCESS, EngineChoice
from local_stack.errors import PartFailedError
from local_stack.home import CHECKOUT, Home
from local_stack.port import LOOPBACK, free_port
from local_stack.process import Processes, last_lines
from local_stack.registry import RegistryPart
from local_stack.seed import REGION, VARIABLE, Account, seed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from local_stack.phase import Phases

__all__ = ["DAG_ID", "Stack", "running_stack"]

DAG_ID = "sagemaker_retrain"
START_SECONDS = 120.0
LOOK_SECONDS = 0.2


@dataclass
class Stack:
    """A running stack.

    :param aws_endpoint: URL of the local AWS
    :param airflow: client of the API server, logged in
    :param account: what the local AWS was seeded with
    :param processes: the parts
    :param environment: of every part of Airflow
    """

    aws_endpoint: str
    airflow: AirflowApi
    account: Account
    processes: Processes
    environment: dict[str, str]


@contextmanager
def running_stack(
    home: Home,
    phases: Phases,
    *,
    engine: EngineChoice = PROCESS,
    port: int = 0,
    scheduled: bool = False,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Stack]:
    """Start the local AWS and Airflow, yield them ready for a run, and leave no process behind.

    :param engine: what runs containers
    :param port: of Airflow's UI, 0 for any that is free
    :param scheduled: whether the DAG also runs on its schedule
    :param settings: further settings of Airflow, as ``SECTION__KEY``
    :raises StackError: with the one line that says what is wrong
    """
    with home.locked():
        processes = Processes(home.processes, home.logs)
        processes.reap()
        home.clear()
        registry = RegistryPart(home, engine) if engine.name == "docker" else None
        airflow_port = free_port(port)
        home.note_holder(f"Airflow at http://{LOOPBACK}:{airflow_port}, stack process {os.getpid()}")
        try:
            if registry is not None:
                with phases.phase("registry"):
                    start_registry(registry, processes)
            with phases.phase("local AWS"):
                aws_endpoint = start_aws(home, processes, engine_options(engine, registry))
            environment = airflow_environment(
                home, os.environ, port=airflow_port, aws_endpoint=aws_endpoint, region=REGION, scheduled=scheduled
            )
            environment |= {f"AIRFLOW__{name}": value for name, value in (settings or {}).items()}
            with phases.phase("database"):
                prepare_database(home, environment)
            airflow = start_airflow(processes, environment, airflow_port)
            with phases.phase("Airflow"):
                account = seed(aws_endpoint)
                wait_until_ready(airflow, processes, account)
            yield Stack(aws_endpoint, airflow, account, processes, environment)
        finally:
            with phases.phase("stop"):
                processes.stop()
                if registry is not None:
                    registry.remove()


def prepare_database(home: Home, environment: dict[str, str]) -> None:
    """Put an empty database in place; migrating one takes seconds, copying it none.

    A fresh one for each start, since the local AWS forgets too: old runs would name jobs that no longer exist.
    """
    if not home.empty_database.exists():
        log = home.logs / "database.log"
        with log.open("wb") as output:
            command = airflow_command("db", "migrate")
            code = subprocess.call(command, env=environment, cwd=home.airflow, stdout=output, stderr=output)
        if code:
            raise PartFailedError(f"Airflow could not make its database: {last_lines(log)} (all of it in {log})")
        with closing(sqlite3.connect(home.database)) as database:
            # five processes share the file: readers must not hold up the writer; the file remembers this
            database.execute("pragma journal_mode=wal")
        shutil.copyfile(home.database, home.empty_database)
    else:
        shutil.copyfile(home.empty_database, home.database)


def start_airflow(processes: Processes, environment: dict[str, str], port: int) -> AirflowApi:
    """Start the four parts and return a client of the API server, which does not answer yet."""
    for name, command in part_commands(port).items():
        processes.start(name, command, part_environment(name, environment), CHECKOUT)
    return AirflowApi(environment["AIRFLOW__API__BASE_URL"])


def start_registry(registry: RegistryPart, processes: Processes) -> None:
    """Start the registry and wait until it answers."""
    registry.remove()
    processes.start("registry", registry.command(), os.environ, CHECKOUT)
    wait_for(registry.answers, processes, f"the registry answers at {registry.address}")


def engine_options(engine: EngineChoice, registry: RegistryPart | None) -> list[str]:
    """Return the options by which the local AWS learns of its engine."""
    if registry is None:
        return ["--engine", engine.name]
    # With an equals sign, since the value begins with a dash itself.
    return ["--engine", engine.name, "--registry", registry.address, f"--docker-build-options={engine.build_options}"]


def start_aws(home: Home, processes: Processes, options: Sequence[str]) -> str:
    """Start the local AWS on a port that it takes itself; return its URL once it answers."""
    ready = home.root / "aws-ready.json"
    ready.unlink(missing_ok=True)
    command = [sys.executable, "-m", "local_aws", "--port", "0", "--region", REGION, "--ready-file", str(ready)]
    command += ["--state-dir", str(home.aws_state), "--cache-dir", str(home.cache), *options]
    # pip's settings have to reach the image builds; a profile or region of the user's must not
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    processes.start("local-aws", command, environment | {"PYTHONPATH": str(CHECKOUT / "include")}, CHECKOUT)
    wait_for(ready.exists, processes, "the local AWS answers")
    endpoint_url: str = json.loads(ready.read_text())["endpoint_url"]
    return endpoint_url


def wait_until_ready(airflow: AirflowApi, processes: Processes, account: Account) -> None:
    """Wait for all four parts, put the DAG's settings in place and wait for the DAG."""
    wait_for(lambda: "healthy" in {airflow.health().get("metadatabase")}, processes, "Airflow's API server answers")
    airflow.log_in()
    description = "Settings of the DAG sagemaker_retrain: where its data, roles and names are"
    airflow.set_variable(VARIABLE, json.dumps(account.settings, indent=2), description)
    wait_for(lambda: all_healthy(airflow.health()), processes, "scheduler, triggerer and dag processor are healthy")
    wait_for(lambda: airflow.has_dag(DAG_ID) or bool(airflow.import_errors()), processes, f"DAG {DAG_ID} is found")
    errors = airflow.import_errors()
    if errors:
        raise PartFailedError(f"a DAG does not import: {errors[0]}")


def all_healthy(health: dict[str, str | None]) -> bool:
    """Tell whether every part reports itself healthy."""
    parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
    return all(health.get(part) == "healthy" for part in parts)


def wait_for(condition: Callable[[], bool], processes: Processes, what: str, seconds: float = START_SECONDS) -> None:
    """Return when the condition holds; raise PartFailedError when a part ends or the time is up."""
    until = time.monotonic() + seconds
    while True:
        holds = condition()
        # Also when it holds: what answers may be another program, where ours found its port taken.
        processes.check()
        if holds:
            return
        if time.monotonic() > until:
            raise PartFailedError(f"waited {seconds:.0f} s in vain until {what}; see the logs in {processes.logs}")
        time.sleep(LOOK_SECONDS)
