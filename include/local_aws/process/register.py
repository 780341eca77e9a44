"""Remembers which process groups run, so that none of them outlives the local AWS.

Owns the files with running groups and the watchdog process. Must not know what the programs do.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ProcessRegister"]

_WATCHDOG = Path(__file__).with_name("watchdog.py")


class ProcessRegister:
    """The running groups of one state directory.

    :param directory: one file per running group
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._groups: set[int] = set()
        self._lock = threading.Lock()
        self._watchdog: subprocess.Popen[str] | None = None

    def add(self, group: int) -> None:
        """Note a group: from now on it dies with this process."""
        self._directory.mkdir(parents=True, exist_ok=True)
        with self._lock:
            self._groups.add(group)
            self._tell(f"+{group}")
        (self._directory / f"{group}.json").write_text(json.dumps({"started": started_at(group)}))

    def remove(self, group: int) -> None:
        """Forget a group that has ended."""
        (self._directory / f"{group}.json").unlink(missing_ok=True)
        with self._lock:
            self._groups.discard(group)
            self._tell(f"-{group}")

    def reap(self) -> None:
        """Kill the groups that an earlier life left running, and nothing else that now has their number."""
        for file, group, started in self._left_files():
            if started and started_at(group) == started:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(group, signal.SIGKILL)
            file.unlink(missing_ok=True)

    def _left_files(self) -> Iterator[tuple[Path, int, float]]:
        for file in self._directory.glob("*.json"):
            if file.stem.isdecimal() and int(file.stem) not in self._groups:
                try:
                    started = float(json.loads(file.read_text())["started"])
                except (ValueError, KeyError, TypeError, OSError):
                    started = 0.0
                yield file, int(file.stem), started

    def _tell(self, order: str) -> None:
        """Pass an order on; a watchdog that somebody ended is replaced and told everything."""
        try:
            self._write(order)
        except (BrokenPipeError, ValueError):
            self._watchdog = None
            for group in self._groups:
                self._write(f"+{group}")

    def _write(self, order: str) -> None:
        if self._watchdog is None:
            self._watchdog = subprocess.Popen(
                [sys.executable, "-I", "-S", str(_WATCHDOG)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
            )
        if self._watchdog.stdin:
            self._watchdog.stdin.write(order + "\n")
            self._watchdog.stdin.flush()


def started_at(pid: int) -> float:
    """Return when a process began, which differs between two of the same number; 0 when there is none."""
    try:
        return float(psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return 0.0
