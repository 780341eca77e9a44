"""Whether the version of a failed deployment may be rejected."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from sagemaker_byoc.candidate import Candidate
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.rejection import why_not_rejected
from sagemaker_byoc.restoration import Deployed
from tests.support.fake_candidate import FakeCandidate

if TYPE_CHECKING:
    from tests.support.fake_aws import FakeAws

CANDIDATE = Candidate(
    variants={"AllTraffic": "AllTraffic-candidate"},
    live={"AllTraffic": 1.0},
    final_config={"EndpointConfigName": "final", "ProductionVariants": [{"VariantName": "AllTraffic"}]},
    update={},
)
BESIDE = Deployed("iris", "both", "old", "update", candidate=CANDIDATE)
DIRECT = Deployed("iris", "new", "old", "update")


@pytest.fixture
def endpoint(aws: FakeAws) -> FakeCandidate:
    """The endpoint ``iris``; all configurations that are named are there."""
    endpoint = FakeCandidate(aws)
    endpoint.configs |= {name: [] for name in ("both", "final", "new", "third")}
    return endpoint


def why(deployed: Deployed) -> str:
    """Ask."""
    return why_not_rejected(AwsConnection(aws_conn_id=None), deployed)


SERVES = [
    (DIRECT, "new", 100, "iris has new, which gives it 100% of the traffic"),
    (BESIDE, "final", 100, "iris has final, which gives it 100% of the traffic"),
    (BESIDE, "both", 50, "iris has both, which gives it 50% of the traffic"),
]


@pytest.mark.parametrize("verdict", ["", "passed", "failed: accuracy"])
@pytest.mark.parametrize(("deployed", "live", "share", "told"), SERVES)
def test_what_answers_clients_stays(
    endpoint: FakeCandidate, deployed: Deployed, live: str, share: int, told: str, verdict: str
) -> None:
    """Whatever was found out about it: a rejected version never serves."""
    endpoint.serves(live, {"AllTraffic": 100.0 - share, "AllTraffic-candidate": share})
    endpoint.tags = {"smoke_test": verdict}
    assert told in why(deployed)


@pytest.mark.parametrize("verdict", ["", "failed: accuracy"])
@pytest.mark.parametrize("deployed", [DIRECT, BESIDE])
def test_what_was_taken_away_is_rejected(endpoint: FakeCandidate, deployed: Deployed, verdict: str) -> None:
    """By the task that found it bad, or by AWS."""
    endpoint.serves("old")
    endpoint.tags = {"smoke_test": verdict}
    assert why(deployed) == ""


@pytest.mark.parametrize("deployed", [DIRECT, BESIDE])
@pytest.mark.parametrize(("live", "told"), [("old", "iris was given old back"), (None, "iris was deleted")])
def test_what_has_passed_and_is_gone_keeps_its_status(
    endpoint: FakeCandidate, deployed: Deployed, live: str | None, told: str
) -> None:
    """A person took it away, and has said elsewhere what becomes of it; or the endpoint is off for the night."""
    endpoint.serves(live)
    endpoint.tags = {"smoke_test": "passed"}
    assert told in why(deployed)


def test_a_mix_serves_what_it_came_from_and_what_came_after(endpoint: FakeCandidate) -> None:
    """AWS's own way back failed, and so did ours: clients may be answered by either."""
    endpoint.serves("old")
    endpoint.status = "UpdateRollbackFailed"
    assert "a mix of old and what came after it" in why(DIRECT)


@pytest.mark.parametrize("status", ["Failed", "OutOfService"])
def test_what_another_deployment_broke_says_nothing_about_it(endpoint: FakeCandidate, status: str) -> None:
    """It passed, was replaced, and its wait was cleared on the day on which a later model broke."""
    endpoint.serves("third")
    endpoint.status = status
    endpoint.tags = {"smoke_test": "passed"}
    assert "iris has third: another deployment came" in why(DIRECT)


def test_what_is_being_taken_away_is_rejected(endpoint: FakeCandidate) -> None:
    """Its way back is not through yet."""
    endpoint.serves("new")
    endpoint._UpdateEndpoint(EndpointConfigName="old")
    assert why(DIRECT) == ""


def test_a_candidate_without_traffic_is_rejected(endpoint: FakeCandidate) -> None:
    """It stands beside the live model still, and no client is answered by it."""
    endpoint.serves("both", {"AllTraffic": 1.0, "AllTraffic-candidate": 0.0})
    assert why(BESIDE) == ""


@pytest.mark.parametrize("status", ["Failed", "OutOfService", "Deleting"])
def test_what_does_not_serve_is_rejected(endpoint: FakeCandidate, status: str) -> None:
    """Although the endpoint has it."""
    endpoint.serves("new")
    endpoint.status = status
    assert why(DIRECT) == ""
    endpoint.serves(None)
    assert why(DIRECT) == ""


@pytest.mark.parametrize("deployed", [DIRECT, BESIDE, replace(DIRECT, previous_config=None)])
def test_another_deployment_proves_nothing_about_it(endpoint: FakeCandidate, deployed: Deployed) -> None:
    """Unless it was found bad before that one came."""
    endpoint.serves("third")
    assert "iris has third: another deployment came" in why(deployed)
    endpoint.tags = {"smoke_test": "failed: accuracy"}
    assert why(deployed) == ""
