"""Reading the logs of training jobs again and again: what each reading asks for, and what it tells."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

import pytest

from sagemaker_byoc.hooks import job_log
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.job_log import JobLog, read_each, read_group
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.retry import is_denied
from sagemaker_byoc.training_job_status import LOG_GROUP
from tests.support.fake_aws import LOADER, AwsSays

if TYPE_CHECKING:
    from tests.support.fake_logs import FakeLogs

CONNECTION = AwsConnection(None)
SINCE = datetime.now(timezone.utc)
SINCE_MS = round(SINCE.timestamp() * 1000)
LINK = "https://eu-west-1.console.aws.amazon.com/cloudwatch/home?region=eu-west-1#logsV2:log-groups/log-group/"


def job(name: str = "job", *definitions: dict[str, str]) -> JobLog:
    """Begin to follow a job."""
    return JobLog(CONNECTION, name, definitions, SINCE)


def each(*jobs: JobLog, last: bool = False) -> list[list[str]]:
    """Read jobs one by one."""
    return read_each(LogHook(CONNECTION), jobs, last=last).lines


def together(*jobs: JobLog) -> list[list[str]]:
    """Read jobs in one go."""
    return read_group(LogHook(CONNECTION), jobs).lines


def test_a_job_is_read_by_its_streams_from_its_beginning(logs: FakeLogs) -> None:
    """One call, narrowed to the job's streams and time."""
    logs.write("job", "first", "second", at_ms=SINCE_MS)
    logs.write("job-2", "another job")
    assert each(job()) == [["algo-1: first", "algo-1: second"]]
    assert logs.calls == [{"logGroupName": LOG_GROUP, "logStreamNamePrefix": "job/", "startTime": SINCE_MS}]


def test_lines_are_told_once_by_each_way_of_reading(logs: FakeLogs) -> None:
    """Readings overlap, and a job may be read alone now and with others then."""
    followed = job()
    logs.write("job", "first")
    assert each(followed) == [["algo-1: first"]]
    logs.write("job", "second")
    assert together(followed, job("other")) == [["algo-1: second"], []]
    assert each(followed) == [[]]


def test_many_jobs_are_read_with_one_call(logs: FakeLogs) -> None:
    """Each job gets its own lines; those of jobs that nobody follows are dropped."""
    jobs = [job(f"job-{number}") for number in range(200)]
    for number in (7, 150, 999):
        logs.write(f"job-{number}", f"line of {number}")
    told = together(*jobs)
    assert told[7] == ["algo-1: line of 7"]
    assert told[150] == ["algo-1: line of 150"]
    assert sum(map(len, told)) == 2
    assert logs.calls == [{"logGroupName": LOG_GROUP, "startTime": SINCE_MS}]


@pytest.mark.parametrize("exists", [True, False])
def test_nothing_written_yet_is_no_failure(logs: FakeLogs, exists: bool) -> None:
    """The group is made with the first job of an account, a stream with the first line."""
    logs.exists = exists
    assert each(job()) == [[]]
    assert together(job()) == [[]]


def test_an_empty_page_with_a_token_is_not_the_end(logs: FakeLogs) -> None:
    """CloudWatch gives empty pages while it searches."""
    logs.write("job", "far behind")
    logs.empty_pages = 2
    assert each(job()) == [["algo-1: far behind"]]
    assert len(logs.calls) == 3


def test_all_pages_are_read_in_order(logs: FakeLogs) -> None:
    """Hosts that write in turns are interleaved by time."""
    logs.page_size = 3
    for index in range(4):
        logs.write("job", f"{index}", at_ms=SINCE_MS + 2 * index)
        logs.write("job", f"{index}", host="algo-2", at_ms=SINCE_MS + 2 * index + 1)
    assert each(job()) == [[f"algo-{host}: {index}" for index in range(4) for host in (1, 2)]]


def test_of_too_many_lines_the_newest_are_told_and_the_rest_counted(logs: FakeLogs) -> None:
    """A container that floods its log cannot flood the triggerer; the whole log is one click away."""
    logs.write("job", *(f"line {index}" for index in range(1_700)), at_ms=SINCE_MS)
    [[note, *lines]] = each(job())
    assert note.startswith("(1,500 lines are left out here")
    assert LINK in note
    assert lines == [f"algo-1: line {index}" for index in range(1_500, 1_700)]


def test_a_log_that_cannot_be_read_to_its_end_is_read_from_its_end(logs: FakeLogs) -> None:
    """After three pages the newest lines come next, and what lies between never does."""
    logs.page_size = 600
    for index in range(4_000):
        logs.write("job", f"line {index}", at_ms=SINCE_MS + index)
    followed = job()
    [[note, *lines]] = each(followed)
    assert note.startswith("(More than 1,800 lines are left out here")
    assert lines == [f"algo-1: line {index}" for index in range(3_800, 4_000)]
    assert len(logs.calls) == 4
    assert (logs.calls[-1]["startFromHead"], logs.calls[-1]["limit"]) == (False, 200)
    logs.write("job", "line 4000", at_ms=SINCE_MS + 4_000)
    assert each(followed) == [["algo-1: line 4000"]]


def test_a_log_that_just_fits_has_no_gap(logs: FakeLogs) -> None:
    """Where the two readings meet, lines are counted and not guessed."""
    logs.page_size = 600
    for index in range(1_900):
        logs.write("job", f"line {index}", at_ms=SINCE_MS + index)
    [[note, *_]] = each(job())
    assert note.startswith("(1,700 lines are left out here")


def test_a_botocore_that_cannot_ask_for_the_newest_reads_the_last_minute(
    logs: FakeLogs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """FilterLogEvents took startFromHead in June 2026, after the oldest boto3 that is supported."""
    model = LOADER.load_service_model("logs", "service-2")
    members = dict(model["shapes"]["FilterLogEventsRequest"]["members"])
    del members["startFromHead"]
    monkeypatch.setitem(model["shapes"]["FilterLogEventsRequest"], "members", members)
    logs.page_size = 5
    logs.write("job", *(f"old {index}" for index in range(20)), at_ms=SINCE_MS)
    now_ms = SINCE_MS + 600_000
    monkeypatch.setattr("time.time_ns", lambda: now_ms * 1_000_000)
    logs.write("job", "new")
    [[note, *lines]] = each(job())
    assert note.startswith("(More than 0 lines are left out here")
    assert lines[-1] == "algo-1: new"
    assert logs.calls[-1]["startTime"] == now_ms - 60_000
    assert "startFromHead" not in logs.calls[-1]


def test_a_group_that_is_too_full_tells_all_as_far_as_it_was_read(logs: FakeLogs) -> None:
    """The reading says that it is not complete, so that jobs are read one by one for a while."""
    logs.page_size = 10
    for index in range(100):
        logs.write("chatty", f"line {index}", at_ms=SINCE_MS + index)
        logs.write("job", f"line {index}", at_ms=SINCE_MS + index)
    followed = job()
    found = read_group(LogHook(CONNECTION), [followed])
    assert not found.complete
    assert found.calls == job_log.GROUP_PAGES
    assert found.lines == [[f"algo-1: line {index}" for index in range(25)]]
    logs.page_size = 10_000
    assert each(followed) == [[f"algo-1: line {index}" for index in range(25, 100)]]


def test_many_chatty_jobs_share_what_the_triggerer_can_tell(logs: FakeLogs) -> None:
    """Each job that writes gets its part, the newest lines of each; a quiet one takes nothing of it."""
    jobs = [job(f"job-{number}") for number in range(100)]
    for number in range(50):
        logs.write(f"job-{number}", *(f"line {index}" for index in range(150)), at_ms=SINCE_MS)
    told = together(*jobs)
    assert all(lines[0].startswith("(130 lines are left out here") for lines in told[:50])
    assert all(lines[-1] == "algo-1: line 149" and len(lines) == 21 for lines in told[:50])
    assert told[50:] == [[]] * 50


def test_late_lines_are_looked_for_again_at_the_end(logs: FakeLogs, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that CloudWatch shows a minute late is told if the job ends by then."""
    followed = job()
    now_ms = SINCE_MS + 100_000
    monkeypatch.setattr("time.time_ns", lambda: now_ms * 1_000_000)
    logs.write("job", "in time")
    assert each(followed) == [["algo-1: in time"]]
    logs.write("job", "late", at_ms=now_ms - 60_000)
    assert each(followed) == [[]]
    assert each(followed, last=True) == [["algo-1: late"]]


def test_a_refusal_says_what_to_allow_and_how_to_do_without(logs: FakeLogs) -> None:
    """The text stands in the log of a waiting task, whose author may not know what reads there."""
    logs.refusal = AwsSays("AccessDeniedException", "User is not authorized")
    with pytest.raises(Exception, match="not authorized") as raised:
        each(job())
    assert is_denied(raised.value)
    text = job_log.denial(raised.value)
    for part in ("logs:FilterLogEvents", f"log-group:{LOG_GROUP}", "stream_logs=False", "10 min", "not authorized"):
        assert part in text


def test_the_whole_log_has_a_name_where_it_has_no_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region there is no page of the console, and the line is needed all the same."""

    def fails(self: Any) -> str:
        raise ValueError

    monkeypatch.setattr("sagemaker_byoc.hooks.connection.AwsConnection.region", property(fails))
    assert job().address() == f"log group {LOG_GROUP}, streams job/*"


@pytest.mark.parametrize(
    ("ended_before_ms", "seconds"), [(0, 1.0), (2_500, 0.5), (3_000, 0.0), (60_000, 0.0), (None, 1.0)]
)
def test_a_second_look_is_only_for_a_container_that_has_just_ended(
    monkeypatch: pytest.MonkeyPatch, ended_before_ms: int | None, seconds: float
) -> None:
    """CloudWatch shows a line some time after it was written; later, a wait for that is a delay for nothing."""
    monkeypatch.setattr("time.time_ns", lambda: SINCE_MS * 1_000_000)
    ended_at_ms = None if ended_before_ms is None else SINCE_MS - ended_before_ms
    assert job_log.second_look_seconds(ended_at_ms) == seconds
