"""How long each phase took, said as soon as it is over."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Phases"]


class Phases:
    """A stopwatch with a line for each phase.

    :param say: where the lines go
    """

    def __init__(self, say: Callable[[str], None] = print) -> None:
        self.say = say
        self.started = time.monotonic()

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; nothing is said of one that fails, since its error says more."""
        started = time.monotonic()
        yield
        self.say(f"{name:<34} {time.monotonic() - started:6.1f} s")

    def total(self) -> float:
        """Return the seconds since the stopwatch was made."""
        return time.monotonic() - self.started
