"""A logger that keeps what it is told."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["LineLog"]


class LineLog:
    """What a task's log would show.

    :param log: where our code logs; Any, since only a part of Airflow's logger is needed
    :param lines: what was told
    :param warnings: what was told as a warning or worse
    """

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.warnings: list[str] = []
        self.log: Any = logging.Logger("lines")
        self.log.addHandler(_Keep(self))


class _Keep(logging.Handler):
    def __init__(self, kept: LineLog) -> None:
        super().__init__()
        self._kept = kept

    def emit(self, record: logging.LogRecord) -> None:
        kept = self._kept.warnings if record.levelno >= logging.WARNING else self._kept.lines
        kept.append(record.getMessage())
