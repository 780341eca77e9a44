"""Backfills whose runs deploy to one endpoint, all at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.e2e.endpoint_probe import Models, answering_models, backfill, ended

if TYPE_CHECKING:
    from local_stack.stack import Stack
    from tests.e2e.probe import Run


def proven(runs: list[Run]) -> list[int]:
    """Return the places of those whose model passed its test, in the order of the tests; the others were skipped."""
    tests = [run.task("smoke_test") for run in runs]
    assert {test["state"] for test in tests} <= {"success", "skipped"}
    passed = [place for place, test in enumerate(tests) if test["state"] == "success"]
    return sorted(passed, key=lambda place: str(tests[place]["end_date"]))


def test_two_dags_share_an_endpoint(stack: Stack, models: Models) -> None:
    """Their runs queue up behind each other as those of one do, and the newest data serve at the end."""
    base = models.of_days("shared", range(1, 5))
    backfill(stack, "deploy_probe", 1, 2, endpoint="shared", model=base)
    backfill(stack, "another_deploy_probe", 3, 4, endpoint="shared", model=base)
    both = ("success", "success")
    order = proven(ended(stack, "deploy_probe", *both) + ended(stack, "another_deploy_probe", *both))
    assert order == sorted(order)
    assert order[-1] == 3
    assert answering_models(stack, "shared") == {"shared-20260104"}


def test_of_ten_racing_runs_the_newest_is_live_at_the_end(stack: Stack, models: Models) -> None:
    """No run is overtaken between its deployment and its test, none is replaced by an older one, and each says why."""
    base = models.of_days("raced", range(1, 11))
    backfill(stack, "racing_deploy_probe", 1, 10, endpoint="raced", model=base)
    runs = ended(stack, "racing_deploy_probe", *["success"] * 10)
    order = proven(runs)
    assert order == sorted(order)
    assert order[-1] == 9
    assert answering_models(stack, "raced") == {"raced-20260110"}
    skipped = [run.log("create_endpoint") for run in runs if run.state("create_endpoint") == "skipped"]
    assert all("trained on newer data than this run's model of 2026-01-" in log for log in skipped)
    waited = "\n".join(run.log("create_endpoint") for run in runs)
    assert "of racing_deploy_probe has endpoint raced to itself" in waited
