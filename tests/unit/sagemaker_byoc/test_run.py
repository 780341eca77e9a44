"""Which run of which task this is."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timezone
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sagemaker_byoc.run import RunIdentity, tag_code, text_of_tag

RUN = RunIdentity(
    "retrain",
    "manual__1",
    "create",
    3,
    2,
    "2026-01-02T00:00:00+00:00",
    "manual",
    data_date="2026-01-01T00:00:00+00:00",
)
TAG = re.compile(r"([\w\s.:/=+\-@]*)")


def context(**changes: Any) -> dict[str, Any]:
    """Return the part of Airflow's context that is read."""
    task_instance = {"dag_id": "retrain", "run_id": "manual__1", "task_id": "create", "map_index": 3, "max_tries": 2}
    task_instance["try_number"] = 1
    dag_run = {
        "logical_date": datetime(2026, 1, 2, tzinfo=timezone.utc),
        "data_interval_start": datetime(2026, 1, 1, tzinfo=timezone.utc),
        "run_type": "manual",
    }
    return {
        "ti": SimpleNamespace(**task_instance | {name: changes[name] for name in task_instance if name in changes}),
        "dag_run": SimpleNamespace(**dag_run | {name: changes[name] for name in dag_run if name in changes}),
    }


def test_the_identity_is_read_from_airflows_context() -> None:
    """Every fact is the one that Airflow gave."""
    assert RunIdentity.of(context()) == RUN


def test_a_run_may_have_no_logical_date() -> None:
    """A run that was triggered without one is still a run."""
    run = RunIdentity.of(context(logical_date=None))
    assert run.logical_date is None
    assert {"Key": "airflow:logical_date", "Value": ""} in run.tags()


def test_without_a_data_interval_the_logical_date_dates_the_data() -> None:
    """A run that was triggered by an asset or without a schedule has no interval, and one without either no date."""
    assert RunIdentity.of(context(data_interval_start=None)).data_date == RUN.logical_date
    assert RunIdentity.of(context(data_interval_start=None, logical_date=None)).data_date is None


def test_a_task_that_is_not_mapped_has_the_index_minus_one() -> None:
    """Airflow says None in some places and -1 in others."""
    assert RunIdentity.of(context(map_index=None)).map_index == -1


@pytest.mark.parametrize(
    "change", [{"dag_id": "x"}, {"run_id": "x"}, {"task_id": "x"}, {"map_index": 4}, {"max_tries": 3}]
)
def test_another_task_or_generation_has_another_key(change: dict[str, Any]) -> None:
    """Clearing raises max_tries, so a cleared task is told from its former self."""
    assert replace(RUN, **change).key != RUN.key


def test_only_a_later_try_may_have_had_earlier_generations() -> None:
    """Each smaller max_tries is one that this task may have had before a person cleared it."""
    assert RUN.earlier_generations() == []
    assert [one.max_tries for one in replace(RUN, try_number=2).earlier_generations()] == [0, 1]
    assert replace(RUN, try_number=2).key == RUN.key


def test_the_date_is_no_part_of_the_key() -> None:
    """The run id tells runs apart; two runs may have the same date or none."""
    assert replace(RUN, logical_date=None, run_type="backfill").key == RUN.key


@given(st.text(max_size=400), st.text(max_size=400))
def test_every_tag_is_one_that_aws_takes(dag_id: str, run_id: str) -> None:
    """Whatever dag and run are called, values have allowed characters and fit."""
    for tag in RunIdentity(dag_id, run_id, "create").tags():
        assert TAG.fullmatch(tag["Value"])
        assert len(tag["Value"]) <= 256


@given(st.text(max_size=20))
@example("manual~1")
@example("a=7eb")
@example(" montag fu\u0308r \U0001f600 ")
def test_a_text_is_read_from_its_code_again(text: str) -> None:
    """Whatever it holds; the code itself is one that AWS takes, and has no spaces that might be cut."""
    code = tag_code(text)
    assert re.fullmatch(r"[\w.:/=+\-@]{0,256}", code)
    assert text_of_tag(code) == text


def test_a_code_is_cut_like_any_tag() -> None:
    """A text that is too long is not read again, but nothing fails."""
    assert len(tag_code("~" * 100)) == 256
    assert text_of_tag(tag_code("~" * 100)).startswith("~~~")
    assert text_of_tag("=ff") == "\N{REPLACEMENT CHARACTER}"


def test_the_users_tags_come_first_and_win() -> None:
    """A tag of the user's that we would set too is theirs."""
    tags = RUN.tags([{"Key": "team", "Value": "a"}, {"Key": "project", "Value": "b"}])
    assert tags[:2] == [{"Key": "team", "Value": "a"}, {"Key": "project", "Value": "b"}]
    assert [tag["Key"] for tag in tags].count("project") == 1
    assert {tag["Key"] for tag in tags} >= {"airflow:dag_id", "airflow:run_id", "airflow:task_id", "airflow:run_type"}
