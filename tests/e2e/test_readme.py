"""The README as a new user follows it."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from local_stack.home import CHECKOUT
from tests.support.readme import command, commands, terminal

RUN_ELSEWHERE = {
    "make run": "test_run.py",
    "airflow backfill create": "test_backfill.py",
    "make wheel": "test_distribution.py",
    "python3 -m zipfile": "test_distribution.py",
    "docker compose up -d": "../compose/test_compose.py",
    "docker compose up -d --scale": "../compose/test_compose.py",
    "docker compose exec api-server cat": "../compose/test_compose.py",
    # The same file, but by an option, since .env is the user's.
    "cp include/compose/celery.env": "../compose/test_compose.py",
}


def test_every_command_is_run_by_a_test() -> None:
    """A command that nobody runs goes stale; this list and the README have to agree."""
    here = {"make ui", "make test"}
    known = here | RUN_ELSEWHERE.keys()
    assert [line for line in commands() if not line.startswith(tuple(known))] == []
    assert all((Path(__file__).parent / file).is_file() for file in RUN_ELSEWHERE.values())
    for beginning in known:
        assert command(beginning)


def test_make_test_runs_all_suites() -> None:
    """Being part of it, this test only asks make what it would do."""
    plan = subprocess.run(["make", "--dry-run", "test"], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    for suite in ("tests/unit", "tests/unit/container", "tests/integration", "tests/e2e"):
        assert f"pytest {suite}" in plan.stdout


def test_make_ui_stays_up_until_ctrl_c() -> None:
    """It prints the address of the DAG, and ends everything when the terminal interrupts it."""
    process = subprocess.Popen(
        command("make ui").split(),
        cwd=CHECKOUT,
        env=terminal(ENGINE="process"),
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout
    said = []
    for line in process.stdout:
        said.append(line)
        if line.startswith("stop "):
            break
    os.killpg(process.pid, signal.SIGINT)
    rest = process.stdout.read()
    process.stdout.close()
    assert process.wait(60) != 0
    assert any("/dags/sagemaker_retrain" in line for line in said), said
    assert "stop" in rest
