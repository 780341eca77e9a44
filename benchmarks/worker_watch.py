"""Watches which processes Airflow's LocalExecutor starts for tasks, and for how long each of them lives.

The executor's workers are children of the scheduler; each starts a child of its own for every time a task runs, which
is what a worker slot is held for. Looks from outside, at the machine's list of processes, and so needs nothing of
Airflow. A process is seen if it lives longer than the pause between two looks, which is far less than its imports take.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["WorkerWatch", "watched_workers"]

LOOK_SECONDS = 0.05


@dataclass
class WorkerWatch:
    """What was seen.

    :param scheduler: the process of the scheduler
    :param lives: moments of start and of the last sight, in seconds since 1970, by process number and start
    """

    scheduler: psutil.Process
    lives: dict[tuple[int, float], tuple[float, float]] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    @property
    def started(self) -> int:
        """How many processes there were."""
        return len(self.lives)

    @property
    def held_seconds(self) -> float:
        """How long they lived, all together."""
        return sum(end - begin for begin, end in self.lives.values())

    def look_until_ended(self) -> None:
        """Note the processes of tasks again and again."""
        while not self.ended.wait(LOOK_SECONDS):
            workers = {worker.pid for worker in self.scheduler.children()}
            for process in self.scheduler.children(recursive=True):
                try:
                    if process.ppid() in workers:
                        begin = process.create_time()
                        self.lives[process.pid, begin] = begin, time.time()
                except psutil.NoSuchProcess:
                    continue


@contextmanager
def watched_workers(scheduler_pid: int) -> Iterator[WorkerWatch]:
    """Watch until the block ends."""
    watch = WorkerWatch(psutil.Process(scheduler_pid))
    thread = threading.Thread(target=watch.look_until_ended, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        thread.join()
