"""Whether a part of Airflow is healthy."""

from __future__ import annotations

from typing import Any

import pytest

from local_stack.part_health import complaint

_HEALTH: dict[str, Any] = {
    "metadatabase": {"status": "healthy"},
    "scheduler": {"status": "healthy", "latest_scheduler_heartbeat": "2026-01-01T00:00:00+00:00"},
    "triggerer": {"status": "unhealthy", "latest_triggerer_heartbeat": "2026-01-01T00:00:00+00:00"},
    "dag_processor": {"status": None, "latest_dag_processor_heartbeat": None},
}


@pytest.mark.parametrize("part", ["metadatabase", "scheduler"])
def test_a_healthy_part_has_no_complaint(part: str) -> None:
    """The database has no heartbeat, and needs none."""
    assert complaint(_HEALTH, part) is None


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("triggerer", "triggerer is unhealthy; its last heartbeat was 2026-01-01T00:00:00+00:00"),
        ("dag_processor", "dag_processor is not there; its last heartbeat was never"),
        ("worker", "worker is not there; its last heartbeat was never"),
    ],
)
def test_a_part_that_is_ill_or_missing_is_named_with_its_last_heartbeat(part: str, words: str) -> None:
    """Docker shows it in the health log of the container."""
    assert complaint(_HEALTH, part) == words
