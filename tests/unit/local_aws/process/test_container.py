"""A process that stands for a container."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import pytest

from local_aws.container import ContainerError, Ending
from local_aws.process.container import Command, ProcessContainer
from tests.support.process_cloud import is_alive, wait_until

if TYPE_CHECKING:
    from pathlib import Path


def _start(program: str, directory: Path) -> ProcessContainer:
    command = Command([sys.executable, "-u", "-c", program], directory, {"A": "1"})
    return ProcessContainer(command, lambda _: None, lambda _: None, is_first=True)


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


def test_sigterm_ends_a_program_that_is_no_containers_first(tmp_path: Path) -> None:
    """Without a handler the default action ends it at once, as it does a shell."""
    command = Command([sys.executable, "-u", "-c", "import time; print('ready'); time.sleep(60)"], tmp_path)
    program = ProcessContainer(command, lambda _: None, lambda _: None)
    assert next(program.lines()) == "ready"

    program.stop(20)

    assert program.wait(0) == 143


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


@pytest.mark.parametrize(
    ("kills", "program", "ran_out"),
    [
        ((3, 4), "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", True),
        ((3, 3), "import os, signal; os.kill(os.getpid(), signal.SIGKILL)", False),
        ((3, 4), "raise SystemExit(1)", False),
    ],
)
def test_a_kill_for_want_of_memory_is_told_by_the_kernels_counter(
    tmp_path: Path, kills: tuple[int, int], program: str, *, ran_out: bool
) -> None:
    """SIGKILL from somebody else, or another process's end, is none."""
    counters, before, after = tmp_path / "vmstat", *kills
    counters.write_text(f"oom_kill_other 9\noom_kill {before}\n")
    go = tmp_path / "go"
    os.mkfifo(go)
    command = Command([sys.executable, "-c", f"open({str(go)!r}).read(); {program}"], tmp_path)
    container = ProcessContainer(command, lambda _: None, lambda _: None, kernel_counters=counters)

    counters.write_text(f"oom_kill_other 9\noom_kill {after}\n")
    go.write_text("")

    assert container.wait(20) is not None
    assert (container.ending is Ending.OUT_OF_MEMORY) is ran_out


def test_a_kernel_without_counters_knows_of_no_kill(tmp_path: Path) -> None:
    """Other systems have no such file."""
    command = Command([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], tmp_path)
    container = ProcessContainer(command, lambda _: None, lambda _: None, kernel_counters=tmp_path / "none")

    assert container.wait(20) == 137
    assert container.ending is Ending.OWN


def test_a_program_without_a_handler_gets_no_sigterm(tmp_path: Path) -> None:
    """The first process of a container has no default action; with a handler it is told."""
    loop = "print('ready'); time.sleep(600)"
    deaf = _start(f"import time; {loop}", tmp_path)
    told = _start(f"import signal, sys, time; signal.signal(15, lambda *_: sys.exit(4)); {loop}", tmp_path)
    for container in (deaf, told):
        assert next(container.lines()) == "ready"
        container.stop(0.2 if container is deaf else 20)

    assert (deaf.wait(0), told.wait(0)) == (137, 4)
