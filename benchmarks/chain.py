"""Compare one run of the chain, from training to a live endpoint, with the same chain of stock operators.

A real Airflow with the LocalExecutor runs the chain against the local AWS, whose process engine really trains, for one
second, and really serves. The workers' processes are watched from outside. Both sides get the same image and a new
endpoint for each run; the first run of each chain is not counted, since files and modules are read for the first time
then. Run by ``make bench``.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stage import Side, prepared_airflow, until
from worker_watch import watched_workers

from local_stack.airflow_api import AirflowApi
from local_stack.stack import all_healthy
from tests.support.process_cloud import ProcessCloud, process_cloud

if TYPE_CHECKING:
    from collections.abc import Iterator

    from local_stack.process import Processes

PARTS = ("api-server", "scheduler", "dag-processor", "triggerer")
BUCKET = "benchmark"
LONGEST_RUN_SECONDS = 300.0
CHAINS = {
    "stock": (Side("stock", "stock, defaults"), "chain"),
    "stock-deferrable": (Side("stock", "stock, deferrable=True"), "chain_deferrable"),
    "ours": (Side("ours", "ours"), "chain"),
}
TRAIN = """#!/usr/bin/env python3
import os, time
time.sleep(1)
with open(os.environ.get("SAGEMAKER_BASE_DIR", "/opt/ml") + "/model/model.txt", "w") as model:
    model.write("a model")
"""
SERVE = """#!/usr/bin/env python3
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

class Answer(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()

HTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Answer).serve_forever()
"""


@dataclass
class Run:
    """What one run took.

    :param wall_seconds: from the start of the DAG run to its end, by Airflow's own clock
    :param started: processes of tasks
    :param held_seconds: that these processes lived, all together
    """

    wall_seconds: float
    started: int
    held_seconds: float


@dataclass
class Airflow:
    """A running Airflow of one side."""

    api: AirflowApi
    processes: Processes

    def run(self, dag_id: str, params: dict[str, str]) -> Run:
        """Run a DAG to its end and watch it."""
        with watched_workers(self.processes.running["scheduler"].pid) as watch:
            run_id = self.api.trigger(dag_id, None, params)
            until(
                lambda: self.api.run_state(dag_id, run_id) in ("success", "failed"),
                self.processes,
                seconds=LONGEST_RUN_SECONDS,
                pause_seconds=0.2,
            )
        facts = self.api.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}")
        if facts["state"] != "success":
            states = {task["task_id"]: task["state"] for task in self.api.task_instances(dag_id, run_id)}
            [failed, *_] = [task_id for task_id, state in states.items() if state == "failed"]
            last_words = self.api.task_log(dag_id, run_id, failed, 1)[-5:]
            raise SystemExit(f"{dag_id} failed: {states}; {failed} says: {last_words}")
        begin, end = (datetime.fromisoformat(facts[name]) for name in ("start_date", "end_date"))
        return Run((end - begin).total_seconds(), watch.started, watch.held_seconds)


def main() -> None:
    """Measure and print the table."""
    grammar = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    grammar.add_argument("--rounds", type=int, default=3, help="counted runs of each chain (%(default)s)")
    grammar.add_argument("--sides", nargs="+", choices=CHAINS, default=list(CHAINS), help="(%(default)s)")
    grammar.add_argument("--quick", action="store_true", help="a size that shows that it works, and measures nothing")
    options = grammar.parse_args()
    rounds = 1 if options.quick else options.rounds
    warm_up = 0 if options.quick else 1
    with tempfile.TemporaryDirectory() as folder, process_cloud(Path(folder), startup_timeout_seconds=30) as cloud:
        params = prepare(cloud)
        runs = {name: measure(name, cloud, params, warm_up + rounds)[warm_up:] for name in options.sides}
    report(runs)


def prepare(cloud: ProcessCloud) -> dict[str, str]:
    """Make bucket, role and image; return the params that all runs have in common."""
    cloud.client("s3").create_bucket(Bucket=BUCKET)
    role = cloud.role("benchmark", "sagemaker.amazonaws.com")
    image = cloud.push("one-second", {"train": TRAIN, "serve": SERVE})
    return {"image": image, "role": role, "output": f"s3://{BUCKET}/output"}


def measure(name: str, cloud: ProcessCloud, params: dict[str, str], rounds: int) -> list[Run]:
    """Run one chain several times, one after the other."""
    side, dag_id = CHAINS[name]
    with running_airflow(side, cloud.endpoint_url, dag_id) as airflow:
        return [airflow.run(dag_id, params | {"name": f"{name}-{number}"}) for number in range(rounds)]


@contextmanager
def running_airflow(side: Side, aws_endpoint: str, dag_id: str) -> Iterator[Airflow]:
    """Run a side's whole Airflow until the block ends."""
    with prepared_airflow(side, aws_endpoint, {}) as airflow:
        for part in PARTS:
            airflow.start(part)
        api = AirflowApi(airflow.environment["AIRFLOW__API__BASE_URL"])
        until(lambda: all_healthy(api.health()), airflow.processes)
        api.log_in()
        until(lambda: api.has_dag(dag_id) or api.import_errors(), airflow.processes)
        if api.import_errors():
            raise SystemExit(f"a DAG does not import: {api.import_errors()}")
        yield Airflow(api, airflow.processes)


def report(runs: dict[str, list[Run]]) -> None:
    """Print the medians of each chain, and the ratios to the last one."""
    counted = len(next(iter(runs.values())))
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {counted} runs each\n")
    print(
        f"{'median of a run':<26} {'wall s':>8} {'min':>7} {'max':>7} {'worker processes':>17} {'worker-seconds':>15}"
    )
    medians: dict[str, Any] = {}
    for name, all_runs in runs.items():
        walls, started, held = zip(
            *[(run.wall_seconds, run.started, run.held_seconds) for run in all_runs], strict=True
        )
        wall, count, seconds = medians[name] = tuple(map(statistics.median, (walls, started, held)))
        spread = f"{wall:>8.1f} {min(walls):>7.1f} {max(walls):>7.1f}"
        print(f"{CHAINS[name][0].label:<26} {spread} {count:>17.1f} {seconds:>15.1f}")
    last = list(runs)[-1]
    for name in list(runs)[:-1]:
        wall, count, seconds = (theirs / ours for theirs, ours in zip(medians[name], medians[last], strict=True))
        print(
            f"{CHAINS[name][0].label} over {CHAINS[last][0].label}: {wall:.1f} times the wall time, "
            f"{count:.1f} times the worker processes, {seconds:.1f} times the worker-seconds"
        )


if __name__ == "__main__":
    main()
