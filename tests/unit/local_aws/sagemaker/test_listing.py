"""Pages of list operations."""

from __future__ import annotations

import datetime as dt
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from local_aws.sagemaker.listing import Listing

_LISTING = Listing(result="Things", name="Name", members=("Name", "Status"), status="Status")
_START = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)


def _thing(name: str, second: int = 0, status: str = "InService") -> dict[str, Any]:
    moment = _START + dt.timedelta(seconds=second)
    return {"Name": name, "CreationTime": moment, "LastModifiedTime": moment, "Status": status, "Other": 1}


def _all_pages(request: dict[str, Any], things: list[dict[str, Any]]) -> list[str]:
    names: list[str] = []
    while True:
        answer = _LISTING.answer(request, things)
        names += [thing["Name"] for thing in answer["Things"]]
        if answer["NextToken"] is None:
            return names
        request = {**request, "NextToken": answer["NextToken"]}


@given(
    st.lists(st.tuples(st.text("abc", min_size=1, max_size=4), st.integers(0, 3)), unique_by=lambda pair: pair[0]),
    st.integers(1, 5),
    st.sampled_from(["Name", "CreationTime", "Status"]),
    st.sampled_from(["Ascending", "Descending"]),
)
def test_pages_hold_everything_once_and_in_order(pairs: list[tuple[str, int]], size: int, by: str, order: str) -> None:
    """Whatever the page size, walking the pages gives the sorted whole."""
    things = [_thing(name, second) for name, second in pairs]

    names = _all_pages({"MaxResults": size, "SortBy": by, "SortOrder": order}, things)

    key = {"Name": lambda p: p[0], "CreationTime": lambda p: (p[1], p[0]), "Status": lambda p: p[0]}[by]
    assert names == [name for name, _ in sorted(pairs, key=key, reverse=order == "Descending")]


def test_a_thing_made_while_paging_moves_nothing() -> None:
    """A newer item does not push one from the first page onto the second."""
    things = [_thing(name, second) for second, name in enumerate("abcd")]
    first = _LISTING.answer({"MaxResults": 2}, things)

    second = _LISTING.answer({"MaxResults": 2, "NextToken": first["NextToken"]}, [*things, _thing("new", 9)])

    assert [thing["Name"] for thing in first["Things"]] == ["d", "c"]
    assert [thing["Name"] for thing in second["Things"]] == ["b", "a"]


def test_the_item_of_the_token_may_be_gone() -> None:
    """Deleting it does not break the walk."""
    things = [_thing(name, second) for second, name in enumerate("abcd")]
    first = _LISTING.answer({"MaxResults": 2}, things)

    second = _LISTING.answer({"MaxResults": 2, "NextToken": first["NextToken"]}, things[:2])

    assert [thing["Name"] for thing in second["Things"]] == ["b", "a"]


def test_the_status_filter_comes_after_the_page() -> None:
    """A page can be empty and still promise more, as on AWS."""
    things = [_thing("a", 0, "Failed"), _thing("b", 1), _thing("c", 2)]

    answer = _LISTING.answer({"MaxResults": 2, "StatusEquals": "Failed"}, things)

    assert answer["Things"] == []
    assert answer["NextToken"] is not None


def test_a_summary_has_only_the_named_members() -> None:
    """Nothing else of the resource is shown."""
    assert _LISTING.answer({}, [_thing("a")])["Things"] == [{"Name": "a", "Status": "InService"}]


def test_the_default_order_can_be_ascending() -> None:
    """Some list operations begin with the oldest."""
    listing = Listing(result="Things", name="Name", members=("Name",), descending=False)

    answer = listing.answer({}, [_thing("a", 1), _thing("b", 0)])

    assert [thing["Name"] for thing in answer["Things"]] == ["b", "a"]
