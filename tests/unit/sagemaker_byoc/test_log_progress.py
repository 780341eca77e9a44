"""What of a log is new, when its events come late, twice and out of order."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc import log_progress
from sagemaker_byoc.log_progress import CLOCK_DIFFERENCE_MS, MEMORY_MS, LogProgress
from sagemaker_byoc.training_log import LogEvent

SINCE_MS = 1_800_000_000_000


def event(identity: int, after_ms: int) -> LogEvent:
    """Return an event so many milliseconds after the beginning."""
    return LogEvent(SINCE_MS + after_ms, "job/algo-1-1", str(identity), f"line {identity}")


def test_an_event_is_new_once() -> None:
    """Readings overlap on purpose."""
    progress = LogProgress(SINCE_MS)
    first, second = event(1, 10), event(2, 20)
    assert progress.news([first, first]) == [first]
    assert progress.news([first, second]) == [second]


def test_new_events_come_by_time_and_in_the_order_given() -> None:
    """Two hosts are interleaved; lines of one moment keep the order that CloudWatch gave them."""
    progress = LogProgress(SINCE_MS)
    given_events = [event(3, 20), event(1, 10), event(2, 10)]
    assert [one.event_id for one in progress.news(given_events)] == ["1", "2", "3"]


def test_a_late_event_is_new_although_newer_ones_were_read() -> None:
    """CloudWatch delivers late, and out of order between streams."""
    progress = LogProgress(SINCE_MS)
    progress.news([event(1, 30_000)])
    progress.read_to(SINCE_MS + 30_000, SINCE_MS + 30_000, complete=True)
    assert progress.start_ms(20_000) == SINCE_MS + 10_000
    assert progress.news([event(2, 11_000)]) == [event(2, 11_000)]


def test_what_was_written_before_the_beginning_is_not_new() -> None:
    """The caller says from when on lines are wanted."""
    assert LogProgress(SINCE_MS).news([event(1, -1)]) == []


def test_a_silent_log_is_not_read_from_its_beginning_for_ever() -> None:
    """Without events this machine's clock moves the start on, with room for its being ahead of AWS's."""
    progress = LogProgress(SINCE_MS)
    hour_later_ms = SINCE_MS + 3_600_000
    progress.read_to(None, hour_later_ms, complete=False)
    assert progress.start_ms(0) == SINCE_MS
    progress.read_to(None, hour_later_ms, complete=True)
    assert progress.start_ms(0) == hour_later_ms - CLOCK_DIFFERENCE_MS


def test_an_event_from_the_future_does_not_hide_the_present() -> None:
    """A host whose clock is wrong by an hour must not silence the others."""
    progress = LogProgress(SINCE_MS)
    progress.read_to(SINCE_MS + 3_600_000, SINCE_MS, complete=True)
    assert progress.start_ms(0) == SINCE_MS + CLOCK_DIFFERENCE_MS


def test_what_was_left_out_stays_left_out() -> None:
    """After a leap to the newest lines older ones do not come in between."""
    progress = LogProgress(SINCE_MS)
    progress.skip_to(SINCE_MS + 50)
    assert progress.news([event(1, 49), event(2, 50)]) == [event(2, 50)]
    assert progress.start_ms(10**6) == SINCE_MS + 50


def test_memory_is_bounded_and_nothing_is_told_twice() -> None:
    """Of a log that writes much the oldest events are forgotten, and then not read again either."""
    progress = LogProgress(SINCE_MS)
    flood = [event(number, number // 10) for number in range(log_progress.MOST_REMEMBERED + 100)]
    progress.news(flood)
    progress.read_to(flood[-1].timestamp_ms, SINCE_MS, complete=True)
    assert len(progress._seen) <= log_progress.MOST_REMEMBERED
    assert progress.news(flood) == []


@given(
    st.lists(
        st.tuples(st.integers(0, 200_000), st.integers(0, 15_000)), max_size=40, unique_by=lambda written: written
    ),
    st.integers(1_000, 30_000),
)
def test_every_event_that_is_late_by_less_than_the_overlap_is_told_once(
    written: list[tuple[int, int]], interval_ms: int
) -> None:
    """Whatever the times of writing and of showing, and however often the log is read."""
    events = [(event(number, at_ms), at_ms + late_ms) for number, (at_ms, late_ms) in enumerate(written)]
    progress = LogProgress(SINCE_MS)
    told: list[str] = []
    for now_ms in range(0, 200_000 + 15_000 + 2 * interval_ms, interval_ms):
        start_ms = progress.start_ms(20_000)
        shown = [one for one, shown_at in events if shown_at <= now_ms and one.timestamp_ms >= start_ms]
        told += [one.event_id for one in progress.news(shown)]
        newest_ms = max((one.timestamp_ms for one in shown), default=None)
        progress.read_to(newest_ms, SINCE_MS + now_ms, complete=True)
    assert sorted(told) == sorted(one.event_id for one, _ in events)
    assert MEMORY_MS >= 20_000
