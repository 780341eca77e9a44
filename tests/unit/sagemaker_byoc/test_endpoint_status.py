"""What one look at an endpoint means for the one who waits."""

from __future__ import annotations

import pytest

from sagemaker_byoc.endpoint_status import DeploymentGoal, EndpointLook, Settled, Verdict, explain, judge

STATUSES = [
    ("InService", "new", Verdict.LIVE),
    ("InService", "old", Verdict.ROLLED_BACK),
    ("InService", "other", Verdict.SUPERSEDED),
    ("Creating", "new", Verdict.WAITING),
    ("Updating", "new", Verdict.WAITING),
    ("SystemUpdating", "new", Verdict.WAITING),
    ("RollingBack", "old", Verdict.WAITING),
    ("Deleting", "new", Verdict.GONE),
    ("Failed", "new", Verdict.FAILED),
    ("OutOfService", "new", Verdict.FAILED),
    ("UpdateRollbackFailed", "new", Verdict.FAILED),
]


@pytest.mark.parametrize(("status", "live", "verdict"), STATUSES)
def test_success_is_in_service_with_the_requested_configuration(status: str, live: str, verdict: Verdict) -> None:
    """Every other state is told apart by what it means."""
    assert judge(EndpointLook("iris", status, live), DeploymentGoal("iris", "new", "old")) is verdict


def test_a_missing_endpoint_is_gone() -> None:
    """Somebody deleted it while it was waited for."""
    assert judge(None, DeploymentGoal("iris", "new")) is Verdict.GONE


def test_without_a_previous_configuration_nothing_was_rolled_back() -> None:
    """Only what was known to be live before can have been put back."""
    assert judge(EndpointLook("iris", "InService", "other"), DeploymentGoal("iris", "new")) is Verdict.SUPERSEDED


def test_a_look_reads_the_answer_and_survives_an_event() -> None:
    """The fields that decide are kept, whatever else the answer holds."""
    answer = {
        "EndpointName": "iris",
        "EndpointStatus": "Updating",
        "EndpointConfigName": "old",
        "PendingDeploymentSummary": {"EndpointConfigName": "new"},
        "CreationTime": "ignored",
    }
    look = EndpointLook.of(answer)
    assert (look.live_config, look.target_config, look.changing) == ("old", "new", True)
    assert EndpointLook(**look.as_json()) == look


def variant(name: str, current: int, desired: int) -> dict[str, object]:
    """Make a variant as DescribeEndpoint shows it."""
    return {"VariantName": name, "CurrentInstanceCount": current, "DesiredInstanceCount": desired}


PING = "The primary container for production variant B did not pass the ping health check. Please check CloudWatch."
VARIANTS = [
    (PING, [variant("A", 1, 1), variant("B", 1, 1)], ["B"]),
    ("Please ensure the model container for variant my-variant starts correctly", [], ["my-variant"]),
    ("no capacity", [variant("A", 1, 1), variant("B", 0, 1)], ["B"]),
    ("", [variant("A", 1, 1), variant("B", 1, 1)], ["A", "B"]),
]


@pytest.mark.parametrize(("reason", "described", "concerned"), VARIANTS)
def test_the_variants_concerned_are_told(reason: str, described: list[dict[str, object]], concerned: list[str]) -> None:
    """AWS's reason names them, or the counts of instances show them."""
    answer = {
        "EndpointName": "iris",
        "EndpointStatus": "OutOfService",
        "EndpointConfigName": "new",
        "FailureReason": reason,
        "ProductionVariants": described,
    }
    look = EndpointLook.of(answer)
    assert look.variants_concerned == concerned
    text = explain(Verdict.FAILED, look, DeploymentGoal("iris", "new"))
    assert text.startswith("Endpoint iris: it is OutOfService (it takes no requests) and does not serve new.")
    assert text.endswith(f"Variants concerned: {', '.join(concerned)}.")


CANDIDATE = {
    "variants": {"AllTraffic": "AllTraffic-candidate"},
    "live": {"AllTraffic": 1.0},
    "final_config": {"EndpointConfigName": "final"},
    "update": {},
}


@pytest.mark.parametrize(
    ("live", "verdict"), [("both", Verdict.LIVE), ("final", Verdict.LIVE), ("x", Verdict.SUPERSEDED)]
)
def test_what_a_candidate_gets_in_the_end_is_success_as_well(live: str, verdict: Verdict) -> None:
    """Whoever waits again after that finds it; a wait for a configuration that somebody has named does not."""
    deployed = {"endpoint_name": "iris", "endpoint_config_name": "both", "candidate": CANDIDATE}
    look = EndpointLook("iris", "InService", live)
    goal = DeploymentGoal.of(deployed, None, "old")
    assert judge(look, goal) is verdict
    assert [Settled(*goal.config_names)(look), Settled(goal.config_name)(look)] == [live != "x", live == "both"]
    named = DeploymentGoal.of(deployed, "both", "old")
    assert named.config_names == ("both",)
