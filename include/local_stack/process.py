"""Child processes that never outlive the stack.

Each child leads a process group of its own, so that it can be ended with all its descendants and a Ctrl-C
in the terminal reaches only the stack, which then ends them in order.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from local_stack.errors import PartFailedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

__all__ = ["Processes", "last_lines"]

PR_SET_PDEATHSIG = 1
# Nothing of the stack is worth a longer goodbye: every start begins with a clean slate.
GRACE_SECONDS = 4.0


def die_with_parent() -> None:
    """Ask Linux for a SIGTERM when the stack itself is killed; elsewhere the next start cleans up."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


@dataclass
class Processes:
    """The parts of one stack.

    :param register: file in which the running groups are noted
    :param logs: folder for the parts' output
    :param grace_seconds: between SIGTERM and SIGKILL
    """

    register: Path
    logs: Path
    grace_seconds: float = GRACE_SECONDS
    running: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str], folder: Path) -> Path:
        """Start a part in a group of its own, its output in ``<name>.log``; return that file."""
        log = self.logs / f"{name}.log"
        with log.open("ab") as output:
            self.running[name] = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=die_with_parent,
            )
        self.note()
        return log

    def check(self) -> None:
        """Raise PartFailedError when a part has ended by itself."""
        for name, process in self.running.items():
            code = process.poll()
            if code is not None:
                log = self.logs / f"{name}.log"
                raise PartFailedError(f"{name} ended with exit code {code}: {last_lines(log)} (all of it in {log})")

    def stop(self) -> None:
        """End every part and its descendants: SIGTERM, then SIGKILL after the grace time."""
        signal_groups([process.pid for process in self.running.values()], signal.SIGTERM)
        until = time.monotonic() + self.grace_seconds
        for process in self.running.values():
            try:
                process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                continue
        signal_groups([process.pid for process in self.running.values()], signal.SIGKILL)
        for process in self.running.values():
            process.wait()
        self.running.clear()
        self.register.unlink(missing_ok=True)

    def note(self) -> None:
        """Write down the running groups with their start times, which tell them from later users of the number."""
        groups = {str(process.pid): started_at(process.pid) for process in self.running.values()}
        self.register.write_text(json.dumps(groups))

    def reap(self) -> int:
        """End the groups that a killed stack left behind; return how many there were."""
        try:
            noted = json.loads(self.register.read_text())
        except (OSError, ValueError):
            return 0
        left = [int(pid) for pid, started in noted.items() if started and started_at(int(pid)) == started]
        signal_groups(left, signal.SIGKILL)
        self.register.unlink(missing_ok=True)
        return len(left)


def signal_groups(leaders: Sequence[int], number: signal.Signals) -> None:
    """Signal each group, whether or not its leader still lives."""
    for leader in leaders:
        try:
            os.killpg(leader, number)
        except (ProcessLookupError, PermissionError):
            continue


def started_at(pid: int) -> float:
    """Return when a process began, which differs between two of the same number; 0 when there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0


def last_lines(log: Path, count: int = 3) -> str:
    """Return the last lines of a part's output as one line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return " | ".join(lines[-count:]) or "it printed nothing"
