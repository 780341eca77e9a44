"""A container's lines as a task's log shows them."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from sagemaker_byoc.training_log import (
    LONGEST_LINE,
    LogEvent,
    MetricMarks,
    TrainingLines,
    output_ended_at_ms,
    readable,
)

ACCURACY = {"Name": "validation:accuracy", "Regex": "validation_accuracy=([0-9.]+)"}
LOSS = {"Name": "train:loss", "Regex": r"loss=(\S+)"}


def lines(message: str, *definitions: dict[str, str], stream: str = "job/algo-2-1767312000") -> list[str]:
    """Return the lines of one event."""
    event = LogEvent.of({"logStreamName": stream, "message": message, "timestamp": 1, "eventId": "1"})
    return TrainingLines(definitions).of(event)


def test_a_line_says_which_host_wrote_it() -> None:
    """The epoch in the stream's name is left out."""
    assert lines("epoch 3") == ["algo-2: epoch 3"]


@pytest.mark.parametrize(("stream", "sender"), [("job/algo-12-1", "algo-12"), ("job/strange", "strange"), ("x", "x")])
def test_a_stream_of_another_form_is_told_by_its_name(stream: str, sender: str) -> None:
    """SageMaker's form was observed and is not promised."""
    assert lines("text", stream=stream) == [f"{sender}: text"]


def test_a_metric_line_names_its_metric_and_value() -> None:
    """The first group is the value, as for SageMaker, wherever in the line it is."""
    assert lines("epoch 1 validation_accuracy=0.93 done", ACCURACY, LOSS) == [
        "algo-2 [validation:accuracy=0.93]: epoch 1 validation_accuracy=0.93 done"
    ]
    assert lines("loss=0.5 validation_accuracy=0.9", ACCURACY, LOSS) == [
        "algo-2 [validation:accuracy=0.9 train:loss=0.5]: loss=0.5 validation_accuracy=0.9"
    ]


@pytest.mark.parametrize("regex", ["(", "loss=", "loss=(x)?"])
def test_an_expression_that_gives_no_value_marks_nothing(regex: str) -> None:
    """Broken, without a group, or with a group that took no part; the line itself is told all the same."""
    assert lines("loss=1", {"Name": "broken", "Regex": regex}, LOSS) == ["algo-2 [train:loss=1]: loss=1"]


@pytest.mark.parametrize(
    "regex",
    [
        r"(x*)*y",
        r"((?:x+)+)y",
        r"(?:x{1,9})+(y)",
        r"loss=((\d+,)*\d)",
        r"acc=((\d+)[.,]?)+%",
        r"loss: (([0-9]+)(\.[0-9]+)?)+;",
        r"(x|xx)+y",
        r"(?:(?:x*?)+?y)?(z)",
        r"(x{1,99999999999})",
    ],
)
def test_a_repeated_repetition_is_not_searched_for(regex: str) -> None:
    """For some lines the search would take years, and the whole triggerer with it."""
    marks = MetricMarks([{"Name": "slow", "Regex": regex}, LOSS])
    assert marks.of("x" * 60 + " loss=1,1") == ["train:loss=1,1"]


@pytest.mark.parametrize(
    "regex", [r"loss=([-+]?[0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)", r"loss[=:] *(\d+(\.\d+)?)", r".*loss=(.*?)(?:;|$)"]
)
def test_the_usual_expressions_are_searched_for(regex: str) -> None:
    """Numbers with a fraction or an exponent are no danger."""
    assert MetricMarks([{"Name": "loss", "Regex": regex}]).of("epoch=1 loss=0.5") == ["loss=0.5"]


def test_an_expression_that_takes_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """It may hold up the triggerer once, not with every line."""
    marks = MetricMarks([LOSS])
    assert marks.of("loss=1") == ["train:loss=1"]
    monkeypatch.setattr("sagemaker_byoc.training_log.SLOW_SECONDS", 0.0)
    assert marks.of("loss=2") == ["train:loss=2"]
    assert marks.of("loss=3") == []


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("10%\r50%\r100%", ["100%"]),
        ("100%\r", ["100%"]),
        ("windows\r\nlines\r\n", ["windows", "lines"]),
        ("\x1b[31mred\x1b[0m and \x1b[2Kplain\x07", ["red and plain"]),
        ("  indented\tand tabbed  ", ["  indented\tand tabbed"]),
        ("\r\r \r", []),
        ("", []),
    ],
)
def test_a_message_is_shown_as_a_terminal_would_leave_it(message: str, shown: list[str]) -> None:
    """A progress bar is one line, colours are gone, indentation stays."""
    assert readable(message) == shown


def test_a_very_long_line_is_cut_and_says_so() -> None:
    """An event may have 256 KB."""
    [line] = lines("loss=1 " + "x" * 9_000, LOSS)
    assert line == f"algo-2 [train:loss=1]: loss=1 {'x' * (LONGEST_LINE - 7)}… (7,007 more characters)"


MOMENT = datetime(2026, 1, 2, tzinfo=timezone.utc)
MOMENT_MS = 1_767_312_000_000


@pytest.mark.parametrize(
    ("description", "moment_ms"),
    [
        ({"TrainingEndTime": MOMENT}, MOMENT_MS),
        (
            {
                "TrainingEndTime": MOMENT.replace(hour=5),
                "SecondaryStatusTransitions": [
                    {"Status": "Training", "StartTime": MOMENT.replace(day=1)},
                    {"Status": "Uploading", "StartTime": MOMENT},
                    {"Status": "Completed", "StartTime": MOMENT.replace(hour=4)},
                ],
            },
            MOMENT_MS,
        ),
        ({}, None),
    ],
)
def test_containers_have_written_when_their_output_is_uploaded(
    description: dict[str, Any], moment_ms: int | None
) -> None:
    """Without an upload the end of the job counts; a job that never started has no such time."""
    assert output_ended_at_ms(description) == moment_ms
