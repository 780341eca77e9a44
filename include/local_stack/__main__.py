"""Commands of the stack: ``run`` retrains once and ends, ``ui`` stays up."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from local_stack.engine import REGISTRY_IMAGE, EngineChoice, EngineWish, choose_engine
from local_stack.errors import StackError
from local_stack.home import Home
from local_stack.phase import Phases
from local_stack.port import LOOPBACK
from local_stack.progress import Progress
from local_stack.report import result_lines
from local_stack.stack import DAG_ID, Stack, running_stack

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

INTERRUPTED = 130
LOOK_SECONDS = 1.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    options = parser().parse_args(arguments)
    catch_signals()
    leave_out_the_users_aws()
    # lines reach a pipe as they are made
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        return int(options.command(options))
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return INTERRUPTED


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    top = argparse.ArgumentParser(prog="local_stack", description=__doc__.splitlines()[0] if __doc__ else None)
    top.add_argument(
        "--home",
        type=Path,
        default=Path(os.environ.get("STACK_HOME") or Home().root),
        help="folder for all that the stack makes; variable STACK_HOME (%(default)s)",
    )
    top.add_argument("--engine", default=os.environ.get("ENGINE"), help="docker or process; variable ENGINE")
    top.add_argument(
        "--docker-build-options",
        default=os.environ.get("DOCKER_BUILD_OPTIONS", ""),
        help="shell words added to every docker build; variable DOCKER_BUILD_OPTIONS",
    )
    top.add_argument(
        "--registry-image",
        default=os.environ.get("REGISTRY_IMAGE", REGISTRY_IMAGE),
        help="image of a registry, where there is no docker-registry on PATH; variable REGISTRY_IMAGE (%(default)s)",
    )
    commands = top.add_subparsers(required=True)
    run = commands.add_parser("run", help="retrain once on the local AWS, show the result, stop everything")
    run.add_argument("--conf", type=json.loads, default={}, help='params of the run as JSON, e.g. {"epochs": 5}')
    run.set_defaults(command=run_once)
    ui = commands.add_parser("ui", help="keep the stack up and print the address of Airflow's UI")
    ui.add_argument("--port", type=int, default=0, help="port of the UI; 0, the default, takes a free one")
    ui.add_argument("--scheduled", action="store_true", help="also run the DAG on its daily schedule")
    ui.set_defaults(command=stay_up)
    return top


def chosen_engine(options: argparse.Namespace) -> EngineChoice:
    """Choose what runs containers and say it."""
    choice = choose_engine(EngineWish(options.engine, options.registry_image, options.docker_build_options))
    print(f"engine  {choice.name} ({choice.reason})")
    return choice


def run_once(options: argparse.Namespace) -> int:
    """Retrain once."""
    phases = Phases()
    with running_stack(Home(options.home), phases, engine=chosen_engine(options)) as stack:
        print(f"{'':<4}local AWS at {stack.aws_endpoint}, Airflow at {stack.airflow.address}")
        run_id = stack.airflow.trigger(DAG_ID, datetime.now(timezone.utc).isoformat(), options.conf)
        with phases.phase("retraining run"):
            Progress(stack.airflow, stack.processes, DAG_ID, run_id).follow()
        print("", *result_lines(results(stack, run_id)), "", sep="\n")
    print(f"{'total':<34} {phases.total():6.1f} s")
    return 0


def results(stack: Stack, run_id: str) -> dict[str, Any]:
    """Return what each task of the run returned."""
    tasks = stack.airflow.task_instances(DAG_ID, run_id)
    return {task["task_id"]: stack.airflow.xcom(DAG_ID, run_id, task["task_id"]) for task in tasks}


def stay_up(options: argparse.Namespace) -> int:
    """Keep the stack up until someone interrupts it."""
    settings = {"engine": chosen_engine(options), "port": options.port, "scheduled": options.scheduled}
    with running_stack(Home(options.home), Phases(), **settings) as stack:
        partitions = stack.account.partitions
        print(f"""
Airflow      {stack.airflow.address}/dags/{DAG_ID}   (no password: it listens on this machine only)
local AWS    {stack.aws_endpoint}   (for boto3: export AWS_ENDPOINT_URL={stack.aws_endpoint})
backfill     press Trigger, then Backfill, from {partitions[0]} to {partitions[2]}: one run for each day with data
stop         Ctrl-C
""")
        while True:
            stack.processes.check()
            time.sleep(LOOK_SECONDS)


def leave_out_the_users_aws() -> None:
    """Forget profile, keys, region and proxy of whoever typed the command: the stack has an AWS of its own."""
    for name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
        del os.environ[name]
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = f"{LOOPBACK},localhost"


def catch_signals() -> None:
    """Let every polite end unwind the stack.

    Also SIGINT, which a shell without job control lets its background commands ignore; not a SIGHUP that is ignored,
    since ``nohup`` asks for that.
    """
    signal.signal(signal.SIGINT, interrupt)
    signal.signal(signal.SIGTERM, interrupt)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, interrupt)


def interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    """Turn the first signal into the exception that unwinds the stack; a second one must not break that off."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
