"""The lines of a training container as a person reads them.

Owns what becomes of one log event: which host it is from, which metric stands in it, what is cut. Makes no call and
knows neither how events are found nor where lines are shown.
"""

from __future__ import annotations

import re
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if sys.version_info >= (3, 11):
    from re import _constants as constants  # type: ignore[attr-defined]
    from re import _parser as parser  # type: ignore[attr-defined]
else:
    import sre_constants as constants
    import sre_parse as parser

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["LogEvent", "MetricMarks", "TrainingLines", "output_ended_at_ms", "readable"]

LONGEST_LINE = 2_000
"""Characters of a line that are shown, and searched for metrics. CloudWatch takes events of 256 KB, which nobody reads
in a task's log."""

SLOW_SECONDS = 0.1
"""An expression that takes longer for one line is given up: Python knows no time limit, and other waits stand still."""

REPEATS = {constants.MAX_REPEAT, constants.MIN_REPEAT}
CHOICES = {*REPEATS, constants.BRANCH}

_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")  # colours and movements of the cursor: ECMA-48, control sequences
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_HOST = re.compile(r"(.+)-\d+")


@dataclass(frozen=True)
class LogEvent:
    """One event of CloudWatch Logs.

    :param timestamp_ms: when it was written, milliseconds since 1970
    :param stream: ``<job>/algo-<n>-<epoch seconds>``
    :param event_id: the same whenever the event is read; longer than a number should be, so text
    :param message: what the container wrote, with no end of line
    """

    timestamp_ms: int
    stream: str
    event_id: str
    message: str

    @classmethod
    def of(cls, event: Mapping[str, Any]) -> LogEvent:
        """Read an event as FilterLogEvents gives it; its model requires no member."""
        return cls(
            int(event.get("timestamp", 0)),
            str(event.get("logStreamName", "")),
            str(event.get("eventId", "")),
            str(event.get("message", "")),
        )

    @property
    def job(self) -> str:
        """The training job that the stream belongs to."""
        return self.stream.partition("/")[0]

    @property
    def host(self) -> str:
        """The host that wrote it, such as ``algo-1``."""
        name = self.stream.rpartition("/")[2]
        found = _HOST.fullmatch(name)
        return found[1] if found else name


class MetricMarks:
    """Finds the metrics of a job in a line, as SageMaker does: the first group of an expression is the value.

    What is no expression, has no group, or might take very long is left out; SageMaker itself takes it all the same.
    So is, from then on, what did take long.

    :param definitions: MetricDefinitions as DescribeTrainingJob gives them, ``Name`` and ``Regex`` of each
    """

    def __init__(self, definitions: Iterable[Mapping[str, str]]) -> None:
        self._patterns = dict(_usable(definitions))

    def of(self, line: str) -> list[str]:
        """Return ``<name>=<value>`` for each metric in the line."""
        return [mark for name, pattern in list(self._patterns.items()) if (mark := self._search(name, pattern, line))]

    def _search(self, name: str, pattern: re.Pattern[str], line: str) -> str:
        began = time.perf_counter()
        found = pattern.search(line, 0, LONGEST_LINE)
        if time.perf_counter() - began > SLOW_SECONDS:
            self._patterns.pop(name)
        return f"{name}={found[1]}" if found and found[1] is not None else ""


def _usable(definitions: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, re.Pattern[str]]]:
    for definition in definitions:
        try:
            pattern = re.compile(definition.get("Regex", ""))
        except (re.error, OverflowError, RecursionError):
            continue
        if pattern.groups and not repeats_choices(parser.parse(pattern.pattern)):
            yield definition.get("Name", ""), pattern


def repeats_choices(parsed: Any) -> bool:
    """Tell whether an expression repeats what has several ways to match, for which a search may take years.

    Those are repetitions and alternatives within a repetition; what may be there once at most does no harm.

    :param parsed: by the parser of Python's ``re``
    """
    for operator, argument in parsed:
        repeats = operator in REPEATS and argument[1] > 1
        if repeats and any(inner in CHOICES for inner, _ in walked(argument[2])):
            return True
        if any(repeats_choices(part) for part in parts_of(argument)):
            return True
    return False


def walked(parsed: Any) -> Iterator[tuple[Any, Any]]:
    """Yield all operators of an expression with their arguments."""
    for operator, argument in parsed:
        yield operator, argument
        for part in parts_of(argument):
            yield from walked(part)


def parts_of(argument: Any) -> Iterator[Any]:
    """Yield the expressions within an operator's argument, which may lie in tuples and lists."""
    if isinstance(argument, parser.SubPattern):
        yield argument
    elif isinstance(argument, tuple | list):
        for item in argument:
            yield from parts_of(item)


class TrainingLines:
    """Turns the events of one job into lines: ``algo-1: …``, or ``algo-1 [validation:accuracy=0.93]: …``.

    :param definitions: the job's MetricDefinitions
    """

    def __init__(self, definitions: Iterable[Mapping[str, str]] = ()) -> None:
        self._marks = MetricMarks(definitions)

    def of(self, event: LogEvent) -> list[str]:
        """Return the lines that an event is worth; none for one without text."""
        return [f"{self._sender(event, text)}: {shortened(text)}" for text in readable(event.message)]

    def _sender(self, event: LogEvent, text: str) -> str:
        marks = " ".join(self._marks.of(text))
        return f"{event.host} [{marks}]" if marks else event.host


def readable(message: str) -> list[str]:
    """Return the lines of a message as a terminal would leave them: without colours, and each progress bar once."""
    plain = (_last_drawn(_ESCAPE.sub("", line)) for line in message.split("\n"))
    return [line for line in plain if line]


def _last_drawn(line: str) -> str:
    """Return what stands in the line after the last carriage return that has text behind it."""
    drawn = [part.rstrip() for part in _CONTROL.sub("", line).split("\r")]
    return next((part for part in reversed(drawn) if part), "")


def shortened(line: str) -> str:
    """Cut a line that nobody would read to its end, and say so."""
    left = len(line) - LONGEST_LINE
    return f"{line[:LONGEST_LINE]}… ({left:,} more characters)" if left > 0 else line


def output_ended_at_ms(description: Mapping[str, Any]) -> int | None:
    """Return when the containers of an ended job can last have written, in milliseconds since 1970.

    That is the begin of the upload, which comes after their exit, or else the end of the job.

    :param description: the answer of DescribeTrainingJob
    """
    steps = description.get("SecondaryStatusTransitions") or ()
    uploads = [step["StartTime"] for step in steps if step.get("Status") == "Uploading" and "StartTime" in step]
    moment = uploads[-1] if uploads else description.get("TrainingEndTime")
    return round(moment.timestamp() * 1000) if moment else None
