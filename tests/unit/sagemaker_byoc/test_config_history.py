"""Which configuration is the one before the live one."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest

from sagemaker_byoc.config_history import KnownConfig, before, table, without_candidate

TAGS = {"data_date": "2026-01-02T00:00:00+00:00", "airflow:run_id": "manual__1", "replaced_config": "b"}
C = KnownConfig.of("c", datetime(2026, 1, 3, tzinfo=timezone.utc), ["m-3"], TAGS)
B = KnownConfig("b", "2026-01-02T00:00:00+00:00", replaced="a")
A = KnownConfig("a", "2026-01-01T00:00:00+00:00")
BESIDE = KnownConfig("beside", "2026-01-04T00:00:00+00:00", replaced="b", candidate_for="d")
"""Holds a candidate beside ``b``, where ``c`` was put back to that."""


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


def test_a_candidate_is_taken_away_from_the_model_that_it_was_put_beside() -> None:
    """Also where a newer one passed its test, which a person took away, and where nobody has listed the live one."""
    taken_away = replace(C, smoke_test="passed")
    assert before("beside", [taken_away, B, A], {"beside": BESIDE}.get) == "b"
    assert before("beside", [BESIDE, taken_away, B, A]) == "b"


def test_a_candidate_is_taken_away_also_from_a_model_that_failed() -> None:
    """Clients have that one already: somebody kept it, or there was nothing to go back to."""
    kept = replace(B, smoke_test="failed: accuracy")
    assert before("beside", [C, kept, A], {"beside": BESIDE}.get) == "b"
    assert before("c", [C, kept, A]) == "a"


def test_candidates_that_were_left_behind_are_passed_by() -> None:
    """Another one was put beside the first, and then a model replaced both."""
    second = replace(BESIDE, name="second", replaced="beside")
    look = {each.name: each for each in (BESIDE, second)}.get
    assert before("second", [C, B, A], look) == "b"
    assert before("e", [replace(C, name="e", replaced="second"), C, B, A], look) == "b"


def test_a_candidate_whose_model_was_deleted_leaves_the_choice_to_age() -> None:
    """Never for what the candidate will have to itself, which may have been live before."""
    own = KnownConfig("d", "2026-01-02T12:00:00+00:00", smoke_test="passed")
    assert before("beside", [C, own, A], {"beside": BESIDE}.get) == "c"
    assert before("beside", [own, A], {"beside": BESIDE}.get) == "a"
    assert before(None, [BESIDE, A]) == "a", "two models are no way back"


def test_what_is_not_listed_counts_by_its_own_tags() -> None:
    """The live one may be older than the list is long, or another tool's, and so may what it replaced."""
    old = KnownConfig("old", "2025-01-02T00:00:00+00:00", replaced="older")
    older = KnownConfig("older", "2025-01-01T00:00:00+00:00")
    assert before("old", [C, B, A], {"old": old, "older": older}.get) == "older"
    assert before("old", [C, B, A], {"old": old}.get) is None, "all that is listed came later"
    failed = replace(older, smoke_test="failed: accuracy")
    assert before("old", [C, B, A], {"old": old, "older": failed}.get) is None
    assert before("foreign", [C, B, A], {"foreign": replace(B, name="foreign", replaced="")}.get) == "a"


def test_a_circle_ends() -> None:
    """Configurations are named by content, so that one may replace what has replaced it."""
    one, two = replace(BESIDE, name="one", replaced="two"), replace(BESIDE, name="two", replaced="one")
    look = {"one": one, "two": two}.get
    assert without_candidate("one", look) is None
    assert before("one", [C, A], look) == "c"
    back = replace(BESIDE, replaced="c")
    assert before("c", [replace(C, replaced="beside"), B], {"beside": back}.get) == "b", "never what is live"


@pytest.mark.parametrize(("name", "found"), [("", None), ("gone", None), ("b", B), ("beside", B)])
def test_the_model_of_a_combined_configuration_is_the_earlier_one(name: str, found: KnownConfig | None) -> None:
    """Any other configuration stands for itself."""
    assert without_candidate(name, {"b": B, "beside": BESIDE}.get) == found


def test_creations_compare_whatever_the_clock_of_the_machine() -> None:
    """boto3 gives local times, and text is compared."""
    summer = datetime(2026, 10, 25, 2, 30, tzinfo=timezone(timedelta(hours=2)))
    winter = datetime(2026, 10, 25, 2, 10, tzinfo=timezone(timedelta(hours=1)))
    first, second = (KnownConfig.of(name, made, [], {}) for name, made in (("first", summer), ("second", winter)))
    assert before("second", [second, first]) == "first"


def test_the_table_shows_what_a_person_chooses_by() -> None:
    """The live one is marked, and what is not known is said."""
    lines = [line.split() for line in table([C, A], "c").splitlines()]
    assert lines[0] == ["configuration", "created", "data", "model", "run", "smoke", "test"]
    assert lines[1] == ["live", "c", "2026-01-03T00:00:00", "2026-01-02", "m-3", "manual__1"]
    assert lines[2] == ["a", "2026-01-01T00:00:00", "?"]
