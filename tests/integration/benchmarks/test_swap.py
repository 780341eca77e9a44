"""The benchmark of swaps, in a size that shows that it runs, and measures nothing."""

from __future__ import annotations

import re

from tests.integration.benchmarks.test_waiting import run


def test_swaps_and_mistakes_are_really_made() -> None:
    """Each strategy swaps without a loss; clients meet the bad model, but for the candidate."""
    lines = run("swap.py")
    rows = [re.split(r"\s+", line) for line in lines]
    swaps = {row[0]: row for row in rows if len(row) == 5}
    assert {"direct", "canary", "candidate"} <= set(swaps)
    assert all(row[3] == "0" for name, row in swaps.items() if name in ("direct", "canary", "candidate"))
    wrong = {row[0]: int(row[1]) for row in rows if len(row) == 6 and row[1].isdigit()}
    assert wrong["candidate"] == 0 < wrong["stock"]
