"""An event loop in which minutes of waiting take no time.

Its clock jumps to the next moment at which something is to happen, and what is sent to a thread is done at once, so
that a test sees the same order of things every time.
"""

from __future__ import annotations

import asyncio
import selectors
from typing import TYPE_CHECKING, Any, TypeVar
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

__all__ = ["BEGIN_MS", "VirtualTimeLoop", "run_in_virtual_time"]

Result = TypeVar("Result")

BEGIN_MS = 1_800_000_000_000
"""The time of day at which a loop begins, milliseconds since 1970."""


class _JumpingSelector(selectors.SelectSelector):
    """Lets time pass instead of waiting."""

    passed_seconds = 0.0

    def select(self, timeout: float | None = None) -> Any:
        """Return what is ready now; the timeout is over by then."""
        if timeout is None:
            message = "everything waits, and nothing will happen any more"
            raise AssertionError(message)
        self.passed_seconds += max(timeout, 0.0)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._jumping.passed_seconds

    def time_ns(self) -> int:
        """Return the virtual time of day in nanoseconds."""
        return BEGIN_MS * 1_000_000 + round(self.time() * 1e9)

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> Any:
        """Do it at once."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future


def run_in_virtual_time(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine to its end; ``time.time_ns`` follows the loop's clock meanwhile."""
    loop = VirtualTimeLoop()
    try:
        with mock.patch("time.time_ns", loop.time_ns):
            result = loop.run_until_complete(main)
        left = asyncio.all_tasks(loop)
        assert not left, f"these run on: {left}"
        return result
    finally:
        loop.close()
