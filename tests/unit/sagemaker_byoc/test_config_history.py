"""Which configuration is the one before the live one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

from sagemaker_byoc.config_history import KnownConfig, before, table

TAGS = {"data_date": "2026-01-02T00:00:00+00:00", "airflow:run_id": "manual__1", "replaced_config": "b"}
C = KnownConfig.of("c", datetime(2026, 1, 3, tzinfo=timezone.utc), ["m-3"], TAGS)
B = KnownConfig("b", "2026-01-02T00:00:00+00:00", replaced="a")
A = KnownConfig("a", "2026-01-01T00:00:00+00:00")


def test_what_the_live_one_replaced_comes_before_it() -> None:
    """Also when that was made later: an old configuration may be deployed again."""
    assert before("c", [C, B, A]) == "b"
    assert before("b", [C, replace(B, replaced="c"), A]) == "c"


def test_without_that_tag_the_one_made_before_it_is_taken() -> None:
    """It was deployed before there was the tag, or what it replaced was deleted."""
    assert before("c", [replace(C, replaced=""), B, A]) == "b"
    assert before("c", [C, A]) == "a"


def test_one_that_failed_its_smoke_test_is_passed_over() -> None:
    """Nobody wants to go back to it."""
    assert before("c", [C, replace(B, smoke_test="failed: accuracy"), A]) == "a"


def test_without_an_endpoint_the_newest_good_one_is_taken() -> None:
    """Or with one that serves what somebody else made."""
    assert before(None, [replace(C, smoke_test="failed: x"), B, A]) == "b"
    assert before("foreign", [C, B]) == "c"


def test_where_age_decides_one_that_passed_comes_first() -> None:
    """Of the others nobody knows whether they were ever live."""
    passed = replace(A, smoke_test="passed")
    assert before(None, [C, B, passed]) == "a"
    assert before("foreign", [C, B, passed]) == "a"
    assert before("c", [replace(C, replaced=""), B, passed]) == "a"
    assert before("c", [C, B, passed]) == "b", "what was live before is known"
    assert before("a", [replace(C, smoke_test="passed"), B, A]) is None, "what was made later is no way back"


def test_the_first_one_has_none_before_it() -> None:
    """And what was made after it is no way back."""
    assert before("a", [C, B, A]) is None
    assert before(None, []) is None


def test_the_table_shows_what_a_person_chooses_by() -> None:
    """The live one is marked, and what is not known is said."""
    lines = [line.split() for line in table([C, A], "c").splitlines()]
    assert lines[0] == ["configuration", "created", "data", "model", "run", "smoke", "test"]
    assert lines[1] == ["live", "c", "2026-01-03T00:00:00", "2026-01-02", "m-3", "manual__1"]
    assert lines[2] == ["a", "2026-01-01T00:00:00", "?"]
