"""Real child processes of a stack."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import psutil
import pytest

from local_stack.errors import PartFailedError
from local_stack.process import Processes
from local_stack.stack import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SLEEPER = [sys.executable, "-c", "import time; time.sleep(600)"]
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)


@pytest.fixture
def processes(tmp_path: Path) -> Iterator[Processes]:
    """Return a register of parts whose parts are gone after the test."""
    made = Processes(tmp_path / "register.json", tmp_path, grace_seconds=0.5)
    yield made
    made.stop()


def test_a_part_that_ends_by_itself_is_told_with_its_last_lines(processes: Processes, tmp_path: Path) -> None:
    """The one line says which part, its exit code, its last words and where the rest is."""
    failing = [sys.executable, "-c", "import sys; print('no room left'); sys.exit(3)"]
    processes.start("scheduler", failing, os.environ, tmp_path)
    processes.running["scheduler"].wait(30)
    with pytest.raises(PartFailedError, match=r"^scheduler ended with exit code 3: no room left .*scheduler\.log"):
        processes.check()


def test_what_another_program_answers_is_not_taken_for_a_part_that_ended(processes: Processes, tmp_path: Path) -> None:
    """A part that finds its port taken ends, while the condition holds because of whoever took it."""
    processes.start("registry", [sys.executable, "-c", "raise SystemExit(1)"], os.environ, tmp_path)
    processes.running["registry"].wait(30)

    with pytest.raises(PartFailedError, match=r"^registry ended with exit code 1"):
        wait_for(lambda: True, processes, "the registry answers")


def test_a_part_that_ignores_sigterm_is_killed(processes: Processes, tmp_path: Path) -> None:
    """After the grace time nobody is asked any more."""
    log = processes.start("stubborn", [sys.executable, "-c", STUBBORN], os.environ, tmp_path)
    child = psutil.Process(processes.running["stubborn"].pid)
    while "up" not in log.read_text():
        assert child.is_running()
    processes.stop()
    assert not psutil.pid_exists(child.pid)


def test_the_next_start_ends_what_a_killed_stack_left(processes: Processes, tmp_path: Path) -> None:
    """The register outlives the stack that wrote it."""
    processes.start("left", SLEEPER, os.environ, tmp_path)
    child = processes.running["left"]
    assert Processes(processes.register, tmp_path).reap() == 1
    assert child.wait(30) != 0


def test_a_number_that_another_process_has_by_now_is_left_alone(processes: Processes, tmp_path: Path) -> None:
    """Numbers are used again; the time of the start tells two processes apart."""
    processes.start("left", SLEEPER, os.environ, tmp_path)
    pid = processes.running["left"].pid
    processes.register.write_text(f'{{"{pid}": 1.0}}')
    assert Processes(processes.register, tmp_path).reap() == 0
    assert processes.running["left"].poll() is None
