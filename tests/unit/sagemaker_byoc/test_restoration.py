"""The decisions of a restoration."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sagemaker_byoc.candidate import Candidate
from sagemaker_byoc.endpoint_status import EndpointLook
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.restoration import Deployed, RestoreGoal, RestoreStep, is_on_its_way, next_restore_step

GOAL = RestoreGoal("iris", "old", "new")
STEPS = [
    ("InService", "old", RestoreStep.DONE, RestoreStep.DONE),
    ("InService", "new", RestoreStep.UPDATE, RestoreStep.FAILED),
    ("InService", "third", RestoreStep.LEAVE, RestoreStep.LEAVE),
    ("Creating", "new", RestoreStep.WAIT, RestoreStep.WAIT),
    ("Updating", "old", RestoreStep.WAIT, RestoreStep.WAIT),
    ("RollingBack", "old", RestoreStep.WAIT, RestoreStep.WAIT),
    ("SystemUpdating", "new", RestoreStep.WAIT, RestoreStep.WAIT),
    ("Deleting", "new", RestoreStep.WAIT, RestoreStep.WAIT),
    ("Failed", "new", RestoreStep.DELETE, RestoreStep.FAILED),
    ("Failed", "old", RestoreStep.DELETE, RestoreStep.FAILED),
    ("Failed", "third", RestoreStep.LEAVE, RestoreStep.LEAVE),
    ("OutOfService", "new", RestoreStep.UPDATE, RestoreStep.FAILED),
    ("OutOfService", "old", RestoreStep.DELETE, RestoreStep.FAILED),
    ("OutOfService", "third", RestoreStep.LEAVE, RestoreStep.LEAVE),
    ("UpdateRollbackFailed", "new", RestoreStep.UPDATE, RestoreStep.FAILED),
    ("UpdateRollbackFailed", "old", RestoreStep.UPDATE, RestoreStep.FAILED),
]


@pytest.mark.parametrize(("status", "live", "first", "after"), STEPS)
def test_every_state_has_its_next_step(status: str, live: str, first: RestoreStep, after: RestoreStep) -> None:
    """A later deployment is left alone, and what was told once and did not help is not told again."""
    look = EndpointLook("iris", status, live)
    assert next_restore_step(look, GOAL) is first
    assert next_restore_step(look, GOAL, sent=True) is after


@pytest.mark.parametrize("sent", [False, True])
def test_a_deleted_endpoint_is_created(sent: bool) -> None:
    """Also when somebody deletes it meanwhile."""
    assert next_restore_step(None, GOAL, sent=sent) is RestoreStep.CREATE


@pytest.mark.parametrize(("status", "step"), [("InService", RestoreStep.UPDATE), ("Failed", RestoreStep.DELETE)])
def test_a_person_may_replace_whatever_is_live(status: str, step: RestoreStep) -> None:
    """Without a configuration to be replaced, every one may be."""
    assert next_restore_step(EndpointLook("iris", status, "third"), RestoreGoal("iris", "old")) is step


WAYS = [
    ("Updating", "new", "old", True),
    ("Creating", "old", None, True),
    ("Updating", "old", "new", False),
    ("Updating", "old", None, False),
    ("Creating", "new", None, False),
    ("InService", "old", None, False),
]


@pytest.mark.parametrize(("status", "live", "pending", "on_its_way"), WAYS)
def test_what_an_earlier_try_began_is_known(status: str, live: str, pending: str | None, on_its_way: bool) -> None:
    """An update of instances names no configuration, so it is none of ours."""
    assert is_on_its_way(EndpointLook("iris", status, live, pending), GOAL) is on_its_way


def test_a_missing_endpoint_is_not_on_its_way() -> None:
    """Nobody creates it."""
    assert not is_on_its_way(None, GOAL)


RESULT = {
    "endpoint_name": "iris",
    "endpoint_config_name": "new",
    "previous_endpoint_config_name": "old",
    "operation": "update",
    "restore_point": {"config": {"EndpointConfigName": "old"}, "models": []},
}


def test_a_deployment_is_read_as_it_is_and_as_json() -> None:
    """An XCom in one DAG, a rendered template in another."""
    deployed = Deployed.of(RESULT)
    assert deployed == Deployed.of(json.dumps(RESULT))
    assert deployed is not None
    assert deployed.point is not None
    assert (deployed.way_back, deployed.point.config_name) == (GOAL, "old")


def test_a_fleet_that_kept_its_size_keeps_it_on_the_way_back() -> None:
    """Also after a wait in a trigger, which gets the deployment and the goal as JSON."""
    retain = {"RetainAllVariantProperties": True}
    deployed = Deployed.of({**RESULT, "retain": retain})
    assert deployed is not None
    assert deployed.way_back == RestoreGoal("iris", "old", "new", retain)
    carried = Deployed.of(json.loads(json.dumps(deployed.as_json())))
    assert carried is not None
    assert carried.way_back is not None
    assert RestoreGoal(**carried.way_back.as_json()) == deployed.way_back


def test_a_first_deployment_has_no_way_back() -> None:
    """There was nothing before it."""
    deployed = Deployed.of({**RESULT, "previous_endpoint_config_name": None, "restore_point": None})
    assert deployed is not None
    assert deployed.way_back is None


def test_a_deployment_that_did_not_take_place_is_none() -> None:
    """The task before was skipped or failed and left no XCom."""
    assert [Deployed.of(nothing) for nothing in (None, "None", "null", "")] == [None] * 4


@pytest.mark.parametrize("given", [{}, {"endpoint_name": "iris"}, {**RESULT, "restore_point": {"config": {}}}, "iris"])
def test_what_is_no_deployment_is_refused(given: object) -> None:
    """The message names the member."""
    with pytest.raises(RequestError, match="deployment"):
        Deployed.of(given)


def test_a_candidate_that_was_promoted_is_taken_away_as_well() -> None:
    """It is the same deployment's, under its own configuration; a later one is left alone."""
    final = {"EndpointConfigName": "final", "ProductionVariants": [{"VariantName": "AllTraffic"}]}
    deployed = Deployed("iris", "both", "old", candidate=Candidate({"AllTraffic": "b"}, {}, final, {}))
    goal = deployed.way_back
    assert goal is not None
    found = {name: next_restore_step(EndpointLook("iris", "InService", name), goal) for name in ("both", "final", "x")}
    assert found == {"both": RestoreStep.UPDATE, "final": RestoreStep.UPDATE, "x": RestoreStep.LEAVE}
    assert not deployed.is_promoted
    assert replace(deployed, config_name="final").is_promoted
