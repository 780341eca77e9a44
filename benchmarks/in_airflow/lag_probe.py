"""Measures from within how late a triggerer's event loop is.

A trigger among the others, so that nothing of Airflow is changed for the measurement. Runs in either environment.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

TICK_SECONDS = 0.01
TICKS_PER_REPORT = 50


class LagProbeTrigger(BaseTrigger):
    """Never fire; note how much later than asked for each pause of 10 ms ended.

    :param report: file to which ``<seconds since 1970> <seconds late>`` is added, a line for each tick
    """

    def __init__(self, report: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.report = report

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger."""
        return "lag_probe.LagProbeTrigger", {"report": self.report}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Tick until the triggerer ends."""
        with Path(self.report).open("a") as report:
            while self.report:
                for _ in range(TICKS_PER_REPORT):
                    asked = time.perf_counter()
                    await asyncio.sleep(TICK_SECONDS)
                    late = time.perf_counter() - asked - TICK_SECONDS
                    report.write(f"{time.time():.3f} {late:.6f}\n")
                report.flush()
        yield TriggerEvent(None)  # never reached; makes this the generator that Airflow wants
