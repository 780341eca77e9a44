"""Names on AWS."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from sagemaker_byoc.naming import NAME_LENGTH, attempt_name, content_name, job_name, safe_base
from sagemaker_byoc.run import RunIdentity

NAME = re.compile(r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}")
"""What SageMaker takes, from botocore's model of CreateTrainingJob."""

RUNS = st.builds(
    RunIdentity,
    dag_id=st.text(max_size=80),
    run_id=st.text(max_size=80),
    task_id=st.text(max_size=80),
    map_index=st.integers(-1, 2000),
    max_tries=st.integers(0, 50),
)
BASES = st.text(max_size=300) | st.text("aZ9-_.", min_size=40, max_size=90)
"""Anything, and often enough what is just too long."""

RUN = RunIdentity("retrain", "scheduled__2026-01-02T00:00:00+00:00", "create_training_job")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=9,
)


@given(BASES, RUNS, st.integers(1, 10**6))
@example("a" * 300, RUN, 1)
def test_every_job_name_is_one_that_sagemaker_takes(base: str, run: RunIdentity, ordinal: int) -> None:
    """Whatever a DAG and its runs are called, the name has allowed characters and fits."""
    name = job_name(base, run, ordinal)
    assert NAME.fullmatch(name)
    assert len(name) <= NAME_LENGTH
    assert name.endswith(f"-{ordinal}")


@example("a" * 300, {})
@given(BASES, st.dictionaries(st.text(max_size=9), JSON, max_size=4))
def test_every_content_name_is_one_that_sagemaker_takes(base: str, request: dict[str, object]) -> None:
    """Whatever a request holds, the name has allowed characters and fits."""
    name = content_name(base, request)
    assert NAME.fullmatch(name)
    assert len(name) <= NAME_LENGTH


@example("a" * 300, {}, 1)
@given(BASES, st.dictionaries(st.text(max_size=9), JSON, max_size=4), st.integers(1, 10**6))
def test_every_attempt_has_a_name_of_its_own_that_sagemaker_takes(
    base: str, request: dict[str, object], ordinal: int
) -> None:
    """Whoever asks the same gets the same names."""
    name = attempt_name(base, request, ordinal)
    assert NAME.fullmatch(name)
    assert name != attempt_name(base, request, ordinal + 1)
    assert name != attempt_name(base, {**request, "more than nine characters": 1}, ordinal)
    assert name == attempt_name(base, dict(reversed(request.items())), ordinal)


@given(RUNS, RUNS, st.integers(1, 9), st.integers(1, 9))
def test_two_jobs_share_a_name_only_if_they_are_one(one: RunIdentity, other: RunIdentity, i: int, j: int) -> None:
    """Same run and ordinal give the same name, anything else another one, however long the base is."""
    base = "a-very-long-name-of-a-dag-that-does-not-fit-into-sixty-three-characters"
    assert (job_name(base, one, i) == job_name(base, other, j)) == ((one.key, i) == (other.key, j))


@given(st.dictionaries(st.text(max_size=9), JSON, max_size=4))
def test_the_order_of_members_does_not_change_a_content_name(request: dict[str, object]) -> None:
    """A request that was written in another order is the same request."""
    assert content_name("model", request) == content_name("model", dict(reversed(request.items())))


@given(BASES)
def test_a_safe_base_stays_as_it_is(text: str) -> None:
    """Making a base safe twice is making it safe once."""
    assert safe_base(safe_base(text)) == safe_base(text)


def test_a_name_begins_with_what_a_person_can_read() -> None:
    """The dag id is found again in the name, its underscores and dots as hyphens."""
    assert re.fullmatch(r"team-iris-retrain-[0-9a-f]{10}-2", job_name("team.iris_retrain", RUN, 2))


def test_a_name_is_the_same_in_every_release() -> None:
    """A retry after an upgrade of this package has to find the job of the try before it."""
    assert job_name("retrain", RUN, 1) == "retrain-3268748cb7-1"
    assert content_name("retrain", {"Image": "a", "Environment": {"b": "c"}}) == "retrain-e14af3b330"
