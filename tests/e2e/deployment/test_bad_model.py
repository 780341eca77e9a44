"""Bad models in the real Airflow: the one from before answers in the end, and the failed task says why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.endpoint_probe import Models, answering_models, backfill, ended

if TYPE_CHECKING:
    from local_stack.stack import Stack


@pytest.mark.way_back_row("wrong answers")
@pytest.mark.way_back_row("the new container does not start")
@pytest.mark.way_back_row("two DAGs deploy bad models to one endpoint")
def test_two_dags_with_bad_models_leave_the_one_from_before(stack: Stack, models: Models) -> None:
    """One model answers wrongly, the other does not start; neither is what the other one goes back to."""
    backfill(stack, "bad_deploy_probe", 1, 1, endpoint="unlucky", model=models.of_days("good", [1]))
    [good] = ended(stack, "bad_deploy_probe", "success")
    before = good.xcom("create_endpoint")["endpoint_config_name"]
    backfill(stack, "bad_deploy_probe", 2, 2, endpoint="unlucky", model=models.of_days("wrong", [2], "long"))
    backfill(stack, "other_bad_deploy_probe", 3, 3, endpoint="unlucky", model=models.of_days("silent", [3], "none"))

    _, wrong = ended(stack, "bad_deploy_probe", "success", "failed")
    [silent] = ended(stack, "other_bad_deploy_probe", "failed")
    assert answering_models(stack, "unlucky") == {"good-20260101"}
    assert [run.xcom("create_endpoint")["previous_endpoint_config_name"] for run in (wrong, silent)] == [before] * 2
    assert wrong.state("smoke_test") == "failed"
    log = wrong.log("smoke_test")
    assert "accuracy 0.000 (0 of 1 right)" in log
    assert f"Live now: {before} (InService). It was live before this deployment. It answers: " in log
    assert (silent.state("wait_for_endpoint"), silent.state("smoke_test")) == ("failed", "upstream_failed")
    log = silent.log("wait_for_endpoint")
    assert f"AWS put {before} back, which serves as before" in log
    assert "this model does not serve" in log


@pytest.mark.way_back_row("a worker is killed between the update and the test, or while the old model is put back")
def test_a_worker_killed_after_the_update_costs_no_way_back(stack: Stack, models: Models) -> None:
    """The next try learns from AWS what was live before, and the bad model goes all the same."""
    settings = {"endpoint": "killed"}
    backfill(stack, "killed_deploy_probe", 1, 1, model=models.of_days("first", [1]), **settings)
    [good] = ended(stack, "killed_deploy_probe", "success")
    before = good.xcom("create_endpoint")["endpoint_config_name"]
    bad = models.of_days("second", [2], "long")
    backfill(stack, "killed_deploy_probe", 2, 2, model=bad, kill_first_try=True, **settings)

    _, killed = ended(stack, "killed_deploy_probe", "success", "failed")
    assert killed.task("create_endpoint")["try_number"] == 2
    assert killed.xcom("create_endpoint")["operation"] in ("adopt", "none")
    assert killed.xcom("create_endpoint")["previous_endpoint_config_name"] == before
    assert f"Live now: {before} (InService). It was live before" in killed.log("smoke_test")
    assert answering_models(stack, "killed") == {"first-20260101"}
