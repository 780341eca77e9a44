"""A model beside the live one: variants, names, weights and refusals."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_byoc.candidate import CANDIDATE, DIRECT, Candidate, candidate_of, combined_config, read_strategy
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.naming import NAME_LENGTH


def variant(name: str, model: str = "old", **members: Any) -> dict[str, Any]:
    """Make a production variant."""
    return {"VariantName": name, "ModelName": model, "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"} | members


def config(*variants: dict[str, Any], **members: Any) -> dict[str, Any]:
    """Make a configuration."""
    return {"EndpointConfigName": "iris-1", "ProductionVariants": list(variants), **members}


FINAL = config(variant("AllTraffic", "new"), DataCaptureConfig={"EnableCapture": True}, Tags=[])
UPDATE = {"EndpointName": "iris", "EndpointConfigName": "iris-1"}


def test_live_variants_stay_as_they_are_now() -> None:
    """With the weights and the instances that somebody has given them since; the rest is the new configuration's."""
    live = config(variant("AllTraffic", InitialVariantWeight=1.0), KmsKeyId="old-key")
    both = combined_config(live, {"AllTraffic": (0.5, 3)}, FINAL)
    assert both["ProductionVariants"] == [
        variant("AllTraffic", InitialVariantWeight=0.5, InitialInstanceCount=3),
        variant("AllTraffic-candidate", "new", InitialVariantWeight=0.0),
    ]
    assert both["DataCaptureConfig"] == {"EnableCapture": True}
    assert not {"KmsKeyId", "Tags"} & set(both)


def test_the_name_is_made_of_the_content() -> None:
    """So a retry finds what it made, and other weights make another one."""
    live = config(variant("AllTraffic"))
    first, again, other = (combined_config(live, {"AllTraffic": (weight, 1)}, FINAL) for weight in (1.0, 1.0, 0.5))
    assert first["EndpointConfigName"] == again["EndpointConfigName"] != other["EndpointConfigName"]
    assert first["EndpointConfigName"].startswith("iris-1-candidate-")


@pytest.mark.parametrize("taken", ["a-candidate", "A" * 53 + "-candidate"])
def test_a_name_that_is_taken_gets_a_number(taken: str) -> None:
    """And none is too long."""
    name = taken[: -len("-candidate")] if len(taken) < NAME_LENGTH else "A" * NAME_LENGTH
    both = combined_config(config(variant(taken)), {taken: (1.0, 1)}, config(variant(name, "new")))
    new = both["ProductionVariants"][-1]["VariantName"]
    assert new.endswith("-candidate-2")
    assert len(new) <= NAME_LENGTH


def test_a_candidate_that_nobody_asks_is_left_out() -> None:
    """One that has traffic is not: it serves."""
    live = config(variant("AllTraffic"), variant("AllTraffic-candidate"))
    quiet = {"AllTraffic": (1.0, 1), "AllTraffic-candidate": (0.0, 1)}
    busy = {"AllTraffic": (1.0, 1), "AllTraffic-candidate": (0.5, 1)}
    names = [
        [each["VariantName"] for each in combined_config(live, traffic, FINAL, is_combined=True)["ProductionVariants"]]
        for traffic in (quiet, busy)
    ]
    assert names == [
        ["AllTraffic", "AllTraffic-candidate"],
        ["AllTraffic", "AllTraffic-candidate", "AllTraffic-candidate-2"],
    ]


NOT_BESIDE: list[tuple[dict[str, Any], dict[str, Any], str]] = [
    (config({"VariantName": "a", "ModelName": "m", "ServerlessConfig": {"MemorySizeInMB": 1024}}), FINAL, "serverless"),
    (config({"VariantName": "a"}), FINAL, "inference components"),
    (config(variant("a"), ShadowProductionVariants=[variant("s")]), FINAL, "shadow"),
    (config(variant("a")), config(variant("a"), AsyncInferenceConfig={"OutputConfig": {}}), "asynchronous"),
    (config(variant("a")), config(variant("a", InitialVariantWeight=0.0)), "weight above 0"),
    (config(*(variant(f"v{number}") for number in range(10))), FINAL, "10 variants at most"),
]


@pytest.mark.parametrize(("live", "final", "why"), NOT_BESIDE)
def test_what_cannot_stand_beside_each_other_is_refused(live: dict[str, Any], final: dict[str, Any], why: str) -> None:
    """The message says why, and what to do."""
    traffic = {each["VariantName"]: (1.0, 1) for each in live["ProductionVariants"]}
    with pytest.raises(RequestError, match=rf"strategy: got 'candidate'; allowed is 'direct' here: .*{why}"):
        combined_config(live, traffic, final)


def test_a_combined_configuration_tells_the_two_apart() -> None:
    """Also as AWS describes it, and through XCom."""
    both = combined_config(config(variant("a"), variant("b")), {"a": (0.25, 1), "b": (0.75, 1)}, FINAL)
    candidate = Candidate.of(candidate_of(both, FINAL, UPDATE).as_json())
    assert candidate is not None
    assert (candidate.variants, candidate.live) == ({"AllTraffic": "AllTraffic-candidate"}, {"a": 0.25, "b": 0.75})
    assert candidate.weights == {"AllTraffic-candidate": 1.0}
    assert candidate.final_name == "iris-1"


@pytest.mark.parametrize("asked", [[], ["AllTraffic"], ["AllTraffic-candidate"]])
def test_the_smoke_test_asks_the_candidate(asked: list[str]) -> None:
    """Whichever name somebody gave it."""
    both = combined_config(config(variant("AllTraffic")), {"AllTraffic": (1.0, 1)}, FINAL)
    assert candidate_of(both, FINAL, UPDATE).targets(asked) == ["AllTraffic-candidate"]


def test_the_live_variants_are_not_the_candidate_s() -> None:
    """A test of them would say nothing about the new model."""
    both = combined_config(config(variant("blue")), {"blue": (1.0, 1)}, FINAL)
    with pytest.raises(RequestError, match=r"target_variants: got 'blue'; allowed is .*: AllTraffic-candidate"):
        candidate_of(both, FINAL, UPDATE).targets(["blue"])


def test_a_promoted_candidate_is_asked_by_its_final_names() -> None:
    """Whichever of the two somebody has written; without any, the weights choose."""
    candidate = candidate_of(
        combined_config(config(variant("AllTraffic")), {"AllTraffic": (1.0, 1)}, FINAL), FINAL, UPDATE
    )
    found = [candidate.final_targets(asked) for asked in ([], ["AllTraffic"], ["AllTraffic-candidate"])]
    assert found == [[], ["AllTraffic"], ["AllTraffic"]]
    with pytest.raises(RequestError, match="target_variants: got 'Other'"):
        candidate.final_targets(["Other"])


def test_weights_are_never_retained_by_the_last_update() -> None:
    """The old variant of the same name has none by then, and the new one would have none either."""
    retains = {**UPDATE, "RetainAllVariantProperties": True}
    weight = {"VariantPropertyType": "DesiredWeight"}
    count = {"VariantPropertyType": "DesiredInstanceCount"}
    made = [
        Candidate({}, {}, {}, update).promotion.get("ExcludeRetainedVariantProperties")
        for update in (UPDATE, retains, {**retains, "ExcludeRetainedVariantProperties": [count]})
    ]
    assert made == [None, [weight], [count, weight]]


@pytest.mark.parametrize("given", ["candidate", {}, {"variants": {"a": "b"}}, {"variants": {}, "live": {}}])
def test_another_thing_is_no_candidate(given: Any) -> None:
    """It is told which member of the deployment is meant."""
    with pytest.raises(RequestError, match=r"deployment\.candidate"):
        Candidate.of(given)


@pytest.mark.parametrize(
    ("given", "strategy"),
    [("direct", DIRECT), (None, DIRECT), ("", DIRECT), ("None", DIRECT), (" Candidate ", CANDIDATE)],
)
def test_a_strategy_is_read(given: str | None, strategy: str) -> None:
    """Templates make text of everything."""
    assert read_strategy(given) == strategy


def test_an_unknown_strategy_is_refused() -> None:
    """With the two that there are."""
    with pytest.raises(RequestError, match=r"strategy: got 'canary'; allowed is 'direct' or 'candidate'"):
        read_strategy("canary")
