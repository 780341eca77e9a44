"""How far a log has been read, when its events come late and out of order.

Owns which events are new and from where the next reading starts. Makes no call and knows no clock but the one that is
given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sagemaker_byoc.training_log import LogEvent

__all__ = ["LogProgress"]

MEMORY_MS = 120_000
"""How far back events are remembered. What CloudWatch shows still later is not told."""

MOST_REMEMBERED = 20_000
"""Bounds what one job may take of the memory; of a log that writes more, the oldest are forgotten sooner."""

CLOCK_DIFFERENCE_MS = 120_000
"""By how much this machine's clock may be ahead of AWS's without a line being lost. AWS refuses five minutes."""


class LogProgress:
    """Tells new events from those read before.

    :param since_ms: nothing older is read; milliseconds since 1970
    """

    def __init__(self, since_ms: int) -> None:
        self._floor_ms = since_ms
        self._read_to_ms = since_ms
        self._seen: dict[str, int] = {}

    def start_ms(self, overlap_ms: int) -> int:
        """Return where the next reading starts.

        :param overlap_ms: how late an event may show up after newer ones
        """
        return max(self._floor_ms, self._read_to_ms - overlap_ms)

    def news(self, events: Iterable[LogEvent]) -> list[LogEvent]:
        """Return the events that were never returned before, by time; those of one moment in the order given."""
        found: dict[str, LogEvent] = {}
        for event in events:
            if event.timestamp_ms >= self._floor_ms and event.event_id not in self._seen:
                found.setdefault(event.event_id, event)
        self._seen |= {key: event.timestamp_ms for key, event in found.items()}
        return sorted(found.values(), key=lambda event: event.timestamp_ms)

    def read_to(self, newest_ms: int | None, now_ms: int, *, complete: bool) -> None:
        """Take note of how far a reading came.

        AWS's times count, not this machine's: only where nothing was written for long does its clock move things on.

        :param newest_ms: of the newest event in the reading, also of other jobs; None when it was empty
        :param now_ms: this machine's time when the reading began
        :param complete: whether everything up to now was read
        """
        reached = [self._read_to_ms]
        if newest_ms is not None:
            reached.append(min(newest_ms, now_ms + CLOCK_DIFFERENCE_MS))
        if complete:
            reached.append(now_ms - CLOCK_DIFFERENCE_MS)
        self._read_to_ms = max(reached)
        self._forget()

    def skip_to(self, moment_ms: int) -> None:
        """Leave out whatever is older, for good."""
        self._floor_ms = max(self._floor_ms, moment_ms)

    def _forget(self) -> None:
        times = sorted(self._seen.values())
        if len(times) > MOST_REMEMBERED:
            self.skip_to(times[-MOST_REMEMBERED] + 1)
        self.skip_to(self._read_to_ms - MEMORY_MS)
        self._seen = {key: at for key, at in self._seen.items() if at >= self._floor_ms}
