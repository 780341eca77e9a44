"""An event loop that does not wait: when nothing is left to do, its clock jumps to the next thing that is due.

So hours of pauses pass in a moment, in their true order. Calls in threads take real time, and while there is one the
clock does not jump.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Coroutine

__all__ = ["run_in_virtual_time"]


class _JumpingSelector(selectors.DefaultSelector):
    """Counts what it did not wait for."""

    calls_in_threads = 0
    skipped_seconds = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.calls_in_threads or timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0)
        if not ready:
            self.skipped_seconds += timeout
        return ready


class _VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop on a clock of its own."""

    def __init__(self) -> None:
        self._jumps = _JumpingSelector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return super().time() + self._jumps.skipped_seconds

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self._jumps.calls_in_threads += 1
        future.add_done_callback(self._thread_is_done)
        return future

    def _thread_is_done(self, _: Any) -> None:
        self._jumps.calls_in_threads -= 1


def run_in_virtual_time(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine to its end; ``asyncio.get_running_loop().time`` is its clock."""
    loop = _VirtualLoop()
    try:
        return loop.run_until_complete(work)
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.wait(left))
        loop.close()
