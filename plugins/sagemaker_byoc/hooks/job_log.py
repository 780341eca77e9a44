"""What of a training job's log has been told, and what is new.

Owns how many lines are told at once, and what a task's log says when lines are left out or may not be read. Decides
neither when to read nor where lines go.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from sagemaker_byoc.console import log_url
from sagemaker_byoc.log_progress import LogProgress
from sagemaker_byoc.pause import DENIED_SECONDS
from sagemaker_byoc.training_job_status import LOG_GROUP
from sagemaker_byoc.training_log import TrainingLines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.log import LogHook, LogReading
    from sagemaker_byoc.training_log import LogEvent

__all__ = [
    "JobLog",
    "NewLines",
    "denial",
    "read_each",
    "read_group",
    "second_look_seconds",
]

MOST_LINES = 200
"""Of one job at one look; looks are five seconds apart, so these are 40 lines a second."""

MOST_LINES_OF_ALL = 1_000
"""Of all jobs at one look: the triggerer's supervisor takes lines at its leisure, and the loop must not wait for it."""

OVERLAP_MS = 20_000
"""How late a line may show up after newer ones and still be told while the job runs."""

OVERLAP_AT_THE_END_MS = 120_000
"""The same for the last looks."""

JOB_PAGES = 3
GROUP_PAGES = 5

_SETTLED_MS = 3_000
"""A container's last lines are taken to be readable this long after it ended; CloudWatch promises nothing."""

_SECOND_LOOK_SECONDS = 1.0


class JobLog:
    """One job's log, and how far it has been told.

    :param name: of the training job
    :param metric_definitions: MetricDefinitions as DescribeTrainingJob gives them
    :param since: no line is older, for example the job's CreationTime
    """

    def __init__(
        self, connection: AwsConnection, name: str, metric_definitions: Iterable[Mapping[str, str]], since: datetime
    ) -> None:
        self.name = name
        self.prefix = f"{name}/"
        self._connection = connection
        self._lines = TrainingLines(metric_definitions)
        self._progress = LogProgress(round(since.timestamp() * 1000))

    def start_ms(self, *, last: bool) -> int:
        """Return where the next reading starts.

        :param last: whether the job has ended, so that late lines are looked for once more
        """
        return self._progress.start_ms(OVERLAP_AT_THE_END_MS if last else OVERLAP_MS)

    def take(self, reading: LogReading, began_ms: int, *, most: int, ahead: LogReading | None = None) -> list[str]:
        """Return the new lines of a reading.

        :param began_ms: when the reading began
        :param most: how many lines; the newest are kept, and how many are not is said
        :param ahead: the newest events, when the reading did not come that far
        """
        events = [*reading.events, *(ahead.events if ahead else ())]
        news = self._progress.news(event for event in events if event.job == self.name)
        lines = [line for event in news[-most:] for line in self._lines.of(event)]
        told = lines[-most:]
        left_out = max(0, len(news) - most) + len(lines) - len(told)
        newest = [each.newest_ms for each in (reading, ahead) if each and each.newest_ms is not None]
        if ahead and ahead.events:
            self._progress.skip_to(ahead.events[0].timestamp_ms)
        self._progress.read_to(max(newest, default=None), began_ms, complete=reading.complete or ahead is not None)
        return [*self._note(left_out, gap=ahead is not None and is_gap(reading, ahead)), *told]

    def address(self) -> str:
        """Return where the whole log is; the line that holds it must not fail for it."""
        try:
            return log_url(self._connection.region, LOG_GROUP, self.prefix)
        except Exception:  # noqa: BLE001 - the region cannot be found out, so that it is told by name
            return f"log group {LOG_GROUP}, streams {self.prefix}*"

    def _note(self, left_out: int, *, gap: bool) -> list[str]:
        if not left_out and not gap:
            return []
        count = f"More than {left_out:,}" if gap else f"{left_out:,}"
        return [f"({count} lines are left out here, there are too many at once. The whole log: {self.address()})"]


def is_gap(reading: LogReading, ahead: LogReading) -> bool:
    """Tell whether lines are missing between what was read from the beginning and what was read from the end."""
    if ahead.complete or not ahead.events:
        return False
    return reading.newest_ms is None or ahead.events[0].timestamp_ms > reading.newest_ms


@dataclass(frozen=True)
class NewLines:
    """What some calls brought for several jobs.

    :param lines: new lines of each job, in the order of the jobs
    :param calls: how many calls were made
    :param complete: whether nothing is left to read
    """

    lines: list[list[str]]
    calls: int
    complete: bool


def read_each(hook: LogHook, jobs: Iterable[JobLog], *, last: bool = False) -> NewLines:
    """Read what jobs have written since the last time, one by one; the newest lines when that is too much.

    :param last: whether the jobs have ended
    """
    lines: list[list[str]] = []
    calls = 0
    for job in jobs:
        began_ms, start_ms = now_ms(), job.start_ms(last=last)
        reading = hook.since(LOG_GROUP, start_ms, job.prefix, most_pages=JOB_PAGES)
        ahead = None
        if not reading.complete:
            ahead = hook.newest(LOG_GROUP, start_ms, job.prefix, most=MOST_LINES, now_ms=began_ms)
        lines.append(job.take(reading, began_ms, most=MOST_LINES, ahead=ahead))
        calls += reading.calls + (ahead.calls if ahead else 0)
    return NewLines(lines, calls, complete=True)


def read_group(hook: LogHook, jobs: Sequence[JobLog], *, last: bool = False) -> NewLines:
    """Read what all jobs have written since the last time, with calls that grow with lines and not with jobs.

    What is not complete has come equally far for all jobs.

    :param last: whether the jobs have ended
    """
    began_ms = now_ms()
    reading = hook.since(LOG_GROUP, min(job.start_ms(last=last) for job in jobs), most_pages=GROUP_PAGES)
    by_job: dict[str, list[LogEvent]] = {}
    for event in reading.events:
        by_job.setdefault(event.job, []).append(event)
    writing = sum(job.name in by_job for job in jobs)
    most = max(1, min(MOST_LINES, MOST_LINES_OF_ALL // max(writing, 1)))
    lines = [job.take(replace(reading, events=by_job.get(job.name, [])), began_ms, most=most) for job in jobs]
    return NewLines(lines, reading.calls, reading.complete)


def second_look_seconds(ended_at_ms: int | None) -> float:
    """Return the pause before another look for lines that CloudWatch did not show yet; 0 when none is worth it.

    :param ended_at_ms: when the containers can last have written, in milliseconds since 1970; None when unknown
    """
    if ended_at_ms is None:
        return _SECOND_LOOK_SECONDS
    unsettled_ms = ended_at_ms + _SETTLED_MS - now_ms()
    return min(max(unsettled_ms / 1000, 0.0), _SECOND_LOOK_SECONDS)


def now_ms() -> int:
    """Return this machine's time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def denial(error: BaseException) -> str:
    """Return what the waiting task's log says then."""
    return (
        "The container's log cannot be shown here: logs:FilterLogEvents is not allowed on "
        f"arn:aws:logs:REGION:ACCOUNT:log-group:{LOG_GROUP}. Allow it to this connection, or turn this off with "
        f"stream_logs=False. The wait itself goes on; next attempt in {DENIED_SECONDS / 60:.0f} min. "
        f"AWS says: {error}"
    )
