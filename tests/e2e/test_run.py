"""The one command, as a new user types it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
from contextlib import closing

import pytest

from local_stack.home import CHECKOUT
from tests.support.readme import command, terminal

TASKS = {
    "check_smoke_test",
    "check_challenge",
    "build_push_image",
    "create_training_job",
    "wait_for_training",
    "create_model",
    "register_model",
    "evaluate_challenger",
    "create_endpoint",
    "wait_for_endpoint",
    "smoke_test",
    "shift_traffic",
    "approve_model",
}


@pytest.fixture(scope="module")
def output() -> str:
    """Return what ``make run`` prints; it has to end with success."""
    made = subprocess.run(
        command("make run").split(),
        cwd=CHECKOUT,
        env=terminal(ENGINE="process"),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert made.returncode == 0, made.stdout + made.stderr
    return made.stdout


def test_the_table_shows_at_least_nine_of_ten_right(output: str) -> None:
    """All 30 held-out records are asked, and at least 27 are answered rightly."""
    answers = re.findall(r"^ +\d+ +(\S+) +(\S+) +(yes|NO)$", output, re.MULTILINE)
    assert len(answers) == 30
    assert all((label == prediction) == (verdict == "yes") for label, prediction, verdict in answers)
    assert sum(verdict == "yes" for *_, verdict in answers) >= 27


def test_it_says_what_was_made_and_how_long_it_took(output: str) -> None:
    """Engine, accuracy, latency, endpoint, job and the time of each phase stand in the output."""
    assert output.startswith("engine  process (asked for)\n")
    for pattern in (r"^accuracy +\d", r"^latency +p50 ", r"^endpoint +\S", r"^job +\S", r"^total +[\d.]+ s$"):
        assert re.search(pattern, output, re.MULTILINE), pattern


def test_the_database_holds_eleven_successful_tasks(output: str) -> None:
    """Airflow itself, and not only the output, says that the run succeeded; nobody was asked, nothing put back."""
    skipped = dict.fromkeys(["ask_for_approval", "reject_model", "restore_endpoint"], "skipped")
    assert dict(task_states()) == {**dict.fromkeys(TASKS, "success"), **skipped}


def test_the_waits_were_deferred(output: str) -> None:
    """The waits for image, training and endpoint hold no worker: Airflow reported them deferred."""
    deferred = set(re.findall(r"^ +\. (\S+) +deferred$", output, re.MULTILINE))
    assert {"wait_for_training", "wait_for_endpoint"} <= deferred


def task_states() -> list[tuple[str, str]]:
    """Return task id and state of the last run's tasks from the database that the run left behind."""
    with closing(sqlite3.connect(CHECKOUT / ".local" / "airflow" / "airflow.db")) as database:
        rows: list[tuple[str, str]] = database.execute("select task_id, state from task_instance").fetchall()
    return rows
