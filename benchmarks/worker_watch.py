"""Watches which processes Airflow's LocalExecutor starts for tasks, and for how long each of them lives.

The executor's workers are children of the scheduler; each starts a child of its own for every time a task runs, which
is what a worker slot is held for. Looks from outside, at the machine's list of processes, and so needs nothing of
Airflow. A process is seen if it lives longer than the pause between two looks, which is far less than its imports take.
"""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager, suppress
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
    :param earlier: processes of an earlier run that have not ended yet, by number and start
    :param lives: moments of start and of the last sight, in seconds since 1970, by process number and start
    """

    scheduler: psutil.Process
    earlier: set[tuple[int, float]] = field(init=False)
    lives: dict[tuple[int, float], tuple[float, float]] = field(default_factory=dict)
    ended: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.earlier = set(self._processes())

    @property
    def started(self) -> int:
        """How many processes there were."""
        return len(self.lives)

    @property
    def held_seconds(self) -> float:
        """How long they lived, all together."""
        return sum(end - begin for begin, end in self.lives.values())

    def look_until_ended(self) -> None:
        """Note the processes of tasks again and again, until the run has ended and they have."""
        running = True
        while running or not self.ended.is_set():
            time.sleep(LOOK_SECONDS)
            running = self._look()

    def _look(self) -> bool:
        """Note the processes that there are; return whether there are any."""
        found = [process for process in self._processes() if process not in self.earlier]
        now = time.time()
        self.lives |= {(number, begin): (begin, now) for number, begin in found}
        return bool(found)

    def _processes(self) -> Iterator[tuple[int, float]]:
        """Yield number and start of each process of a task."""
        workers = {worker.pid for worker in self.scheduler.children()}
        for process in self.scheduler.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if process.ppid() in workers:
                    yield process.pid, process.create_time()


@contextmanager
def watched_workers(scheduler_pid: int) -> Iterator[WorkerWatch]:
    """Watch until the block and the processes that were started in it have ended."""
    watch = WorkerWatch(psutil.Process(scheduler_pid))
    thread = threading.Thread(target=watch.look_until_ended, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        watch.ended.set()
        thread.join()
