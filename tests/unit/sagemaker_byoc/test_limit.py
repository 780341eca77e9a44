"""What an endpoint must reach."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.limit import Limits, count


@pytest.mark.parametrize(
    ("lower", "higher"),
    [
        ("maximum_p50_latency_ms", "maximum_p99_latency_ms"),
        ("maximum_p50_latency_ms", "maximum_latency_ms"),
        ("maximum_latency_ms", "maximum_p99_latency_ms"),
    ],
)
def test_a_limit_that_could_never_be_missed_is_refused(lower: str, higher: str) -> None:
    """Equal ones are let pass: the higher percentile decides."""
    with pytest.raises(RequestError, match=f"{lower}: got 20; allowed is at most {higher}, which is 10"):
        Limits(**{lower: 20, higher: 10})
    Limits(**{lower: 10, higher: 10})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minimum_accuracy", 90),
        ("minimum_accuracy", float("nan")),
        ("maximum_latency_ms", 0),
        ("maximum_p50_latency_ms", -1),
        ("maximum_p99_latency_ms", float("nan")),
        ("minimum_records", 0),
        ("minimum_records", 2.5),
        ("tolerance", -1),
    ],
)
def test_a_limit_without_meaning_is_refused(name: str, value: Any) -> None:
    """90 for 0.9 would fail every model, 0 milliseconds as well."""
    with pytest.raises(RequestError, match=name):
        Limits(**{name: value})


@pytest.mark.parametrize(("given", "value"), [(3, 3), ("3", 3), ("3.0", 3), (None, 1), ("", 1)])
def test_a_count_may_come_from_a_form(given: Any, value: int) -> None:
    """Templates render to text, and nothing means one."""
    assert count("repeats", given) == value


@pytest.mark.parametrize("given", [0, "2.5", "many", -1, "inf"])
def test_what_counts_nothing_is_refused(given: Any) -> None:
    """The message names the field."""
    with pytest.raises(RequestError, match="repeats"):
        count("repeats", given)
