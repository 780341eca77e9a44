"""A process that stands for a container."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from local_aws.container import ContainerError
from local_aws.process.container import Command, ProcessContainer
from tests.support.process_cloud import is_alive, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def _start(program: str, directory: Path) -> ProcessContainer:
    command = Command([sys.executable, "-u", "-c", program], directory, {"A": "1"})
    return ProcessContainer(command, lambda _: None, lambda _: None)


@pytest.mark.parametrize(
    ("program", "code"),
    [
        ("pass", 0),
        ("raise SystemExit(3)", 3),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", 137),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", 139),
    ],
)
def test_the_exit_code_is_the_one_docker_would_give(tmp_path: Path, program: str, code: int) -> None:
    """A program ended by signal N has 128 + N."""
    assert _start(program, tmp_path).wait(20) == code


def test_output_of_both_streams_arrives_line_by_line(tmp_path: Path) -> None:
    """Line ends go, bytes that are not UTF-8 become a mark, and a last line needs no end."""
    program = (
        "import os; os.write(1, b'one\\r\\n\\n'); os.write(2, b'tw\\xff'); os.write(1, b'o\\n');"
        "os.write(1, 'ü'.encode()[:1]); os.write(1, 'ü'.encode()[1:]); os.write(1, b'end')"
    )

    assert list(_start(program, tmp_path).lines()) == ["one", "", "tw\ufffdo", "üend"]


def test_a_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    """A huge line comes in parts that make up the whole."""
    lines = list(_start("print('x' * 3_000_000)", tmp_path).lines())

    assert sum(map(len, lines)) == 3_000_000
    assert max(map(len, lines)) < 400_000


def test_the_program_has_only_the_environment_it_was_given(tmp_path: Path) -> None:
    """Nothing of the local AWS's own environment leaks into a container."""
    program = "import os; print(sorted(set(os.environ) - {'LC_CTYPE', '__CF_USER_TEXT_ENCODING'}))"

    assert list(_start(program, tmp_path).lines()) == ["['A']"]


def test_stop_gives_the_program_time_to_save(tmp_path: Path) -> None:
    """SIGTERM comes first, and the program's own exit code counts."""
    program = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (print('saved'), sys.exit(5)))\n"
        "print('ready')\n"
        "while True: time.sleep(0.05)\n"
    )
    container = _start(program, tmp_path)
    lines = container.lines()
    assert next(lines) == "ready"

    container.stop(20)

    assert list(lines) == ["saved"]
    assert container.wait(0) == 5


def test_stop_kills_a_program_that_does_not_end(tmp_path: Path) -> None:
    """After the grace time comes SIGKILL; stopping twice is harmless."""
    program = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nprint('ready')\ntime.sleep(60)"
    container = _start(program, tmp_path)
    assert next(container.lines()) == "ready"

    container.stop(0.1)
    container.stop(0.1)

    assert container.wait(0) == 137


def test_children_go_with_their_container(tmp_path: Path) -> None:
    """When the first process ends, nothing that it started lives on, and its output ends too."""
    program = (
        "import subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid)\n"
    )
    lines = list(_start(program, tmp_path).lines())

    wait_until(lambda: not is_alive(int(lines[0])), "the child is gone")


def test_a_program_that_does_not_serve_has_no_address(tmp_path: Path) -> None:
    """Asking where a training container serves is an error, not a wrong address."""
    container = _start("pass", tmp_path)

    with pytest.raises(ContainerError, match="not started to serve"):
        _ = container.address
