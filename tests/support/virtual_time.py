"""An event loop in which minutes of waiting take no time.

Its clock jumps to the next moment at which something is to happen, and what is sent to a thread is done when it is
sent, so that a test sees the same order of things every time.
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

STEP_SECONDS = 1e-7
"""What each step of the loop takes: with a clock that stands still, a wait too short for its digits would never end."""

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
        self.passed_seconds += max(timeout, STEP_SECONDS)
        return super().select(0)


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own.

    :param call_seconds: how long the answer of what is sent to a thread takes
    """

    call_seconds = 0.0

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Return virtual seconds since the loop was made."""
        return self._jumping.passed_seconds

    def time_ns(self) -> int:
        """Return the virtual time of day in nanoseconds."""
        return BEGIN_MS * 1_000_000 + round(self.time() * 1e9)

    # typeshed's signature needs type variables that Python 3.10 does not have
    def run_in_executor(  # type: ignore[override]
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Do it at once, and answer when the time for that is over."""
        future = self.create_future()
        try:
            self.call_later(self.call_seconds, _answer, future, func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future


def _answer(future: asyncio.Future[Any], answer: Any) -> None:
    if not future.done():
        future.set_result(answer)


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
