"""What the stack leaves open while it runs, and behind when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from local_stack.home import CHECKOUT
from tests.e2e.probe import Run, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from local_stack.stack import Stack


def of_home(home: Path) -> list[psutil.Process]:
    """Return the living processes that a stack of this home has started."""
    return [process for process in psutil.process_iter() if uses(process, home)]


def uses(process: psutil.Process, home: Path) -> bool:
    """Tell whether the process's command or environment names the home."""
    try:
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        return any(str(home) in text for text in [*process.cmdline(), *process.environ().values()])
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


@pytest.fixture
def kept_up(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Return a stack that was started by ``ui`` and says that it is up."""
    command = [sys.executable, "-m", "local_stack", "--home", str(tmp_path), "ui"]
    environment = dict(os.environ) | {"PYTHONPATH": "include", "ENGINE": "process"}
    process = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        for line in process.stdout or []:
            if line.startswith("stop "):
                break
        yield process
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)]
)
def test_no_process_is_left(kept_up: subprocess.Popen[str], tmp_path: Path, number: int, code: int) -> None:
    """Ctrl-C, a polite end and a kill -9 of the stack all take every part along."""
    assert kept_up.poll() is None
    assert len(of_home(tmp_path)) >= 6
    kept_up.send_signal(number)
    assert kept_up.wait(60) == code
    until(lambda: not of_home(tmp_path), "every process of the stack has ended", 60)


def test_the_buttons_to_the_console_work_from_the_plugins_folder(stack: Stack) -> None:
    """Airflow keeps text and address of a link and needs no installed provider to show it."""
    run = Run.start(stack, "train_probe")
    assert run.wait() == "success"
    name = run.xcom("create_training_job")
    links = stack.airflow.call("GET", f"{run.path}/taskInstances/wait_for_training/links")["extra_links"]
    assert links["SageMaker training job"].endswith(f"#/jobs/{name}")
    assert "CloudWatch log" in links


def test_everything_listens_on_loopback_only(stack: Stack) -> None:
    """Neither Airflow, nor the local AWS, nor a container is reachable from another machine."""
    run = Run.start(stack, "sagemaker_retrain", partition="2026-01-03")
    assert run.wait() == "success"
    parts = [psutil.Process(process.pid) for process in stack.processes.running.values()]
    family = [process for part in parts for process in [part, *part.children(recursive=True)]]
    addresses = [
        connection.laddr.ip
        for process in family
        for connection in process.net_connections()
        if connection.status == psutil.CONN_LISTEN
    ]
    # API server, local AWS, and the container that serves the endpoint
    assert len(addresses) >= 3
    assert all(address.startswith("127.") or address == "::1" for address in addresses), addresses
