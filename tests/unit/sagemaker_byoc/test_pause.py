"""The length of a pause."""

from __future__ import annotations

from sagemaker_byoc.pause import JITTER, pause_seconds


def test_pauses_vary_by_a_fifth() -> None:
    """Those that began together do not go on asking together."""
    pauses = [pause_seconds(10.0) for _ in range(50)]
    assert all(10 * (1 - JITTER) <= pause <= 10 * (1 + JITTER) for pause in pauses)
    assert len(set(pauses)) > 20


def test_failures_double_a_pause_up_to_two_minutes() -> None:
    """A thousand failures do not make it longer, and an interval above two minutes is kept."""
    assert 40 * (1 - JITTER) <= pause_seconds(10.0, 2) <= 40 * (1 + JITTER)
    assert pause_seconds(10.0, 1000) <= 120 * (1 + JITTER)
    assert pause_seconds(600.0, 1) >= 600 * (1 - JITTER)
