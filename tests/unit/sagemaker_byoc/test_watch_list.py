"""The order in which many resources are looked at."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.watch_list import WatchList


def test_what_ended_goes_before_what_nobody_has_seen() -> None:
    """A crowd of new waits does not delay the end of an old one."""
    names = WatchList()
    for name in ("new-1", "new-2", "old"):
        names.add(name)
    names.looked("old", 1.0)
    names.hasten("old")
    assert names.due(2.0, 10) == ["old", "new-1", "new-2"]
    assert names.due(2.0, 2) == ["old", "new-1"]


def test_what_was_put_off_comes_when_it_is_time() -> None:
    """Not before, and before what is new."""
    names = WatchList()
    names.add("new")
    names.add("failed")
    names.put_off("failed", 5.0)
    assert names.wakes_at() == 5.0
    assert names.due(4.0, 10) == ["new"]
    assert names.due(5.0, 10) == ["failed", "new"]


def test_the_safety_net_takes_what_was_looked_at_longest_ago() -> None:
    """One after the other, each only after its time."""
    names = WatchList()
    for at, name in enumerate("abc"):
        names.add(name)
        names.looked(name, float(at))
    assert names.overlooked(before=-1.0) is None
    assert names.overlooked(before=1.0) == "a"
    names.looked("a", 3.0)
    assert names.overlooked(before=1.0) == "b"
    assert names.due(9.0, 10) == []


@given(st.lists(st.tuples(st.sampled_from(["add", "hasten", "put_off", "looked", "drop"]), st.sampled_from("abcd"))))
def test_a_name_is_in_one_place_at_most(steps: list[tuple[str, str]]) -> None:
    """Whatever happens to it, it is not looked at twice for one reason, and never after it was dropped."""
    names = WatchList()
    there: set[str] = set()
    for step, name in steps:
        if step == "add" and name in there:
            continue
        extra = {"put_off": [1.0], "looked": [0.0]}.get(step, [])
        getattr(names, step)(name, *extra)
        (there.discard if step == "drop" else there.add)(name)
    due = names.due(2.0, 100)
    assert len(due) == len(set(due))
    rest = []
    while (overlooked := names.overlooked(before=1.0)) is not None:
        rest.append(overlooked)
        names.drop(overlooked)
    assert sorted(due + rest) == sorted(there)
