"""The rules about deployment configurations, one by one."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.guardrail import check_guardrails
from tests.support.rollout import blue_green, count, guarded, percent, rolling

BLUE_GREEN, ROLLING = "BlueGreenUpdatePolicy", "RollingUpdatePolicy"
ROUTING = f"{BLUE_GREEN}.TrafficRoutingConfiguration"


def config(*counts: int | None, instance_type: str = "ml.m5.large") -> dict[str, Any]:
    """Return a CreateEndpointConfig request with a variant for each number of instances; None is serverless."""
    variants: list[dict[str, Any]] = []
    for number, instances in enumerate(counts):
        name = {"VariantName": f"Variant{number}"}
        hardware = {"InstanceType": instance_type, "InitialInstanceCount": instances}
        variants.append({**name, **(hardware if instances else {"ServerlessConfig": {}})})
    return {"ProductionVariants": variants}


def limited(deployment: dict[str, Any], seconds: int) -> dict[str, Any]:
    """Return the deployment with a time limit in its policy."""
    [(name, policy)] = deployment.items()
    return {name: {**policy, "MaximumExecutionTimeoutInSeconds": seconds}}


def with_both_sizes(kind: str) -> dict[str, Any]:
    """Return a traffic shift that has the size of another kind, too."""
    deployment = blue_green(kind, percent(20))
    deployment[BLUE_GREEN]["TrafficRoutingConfiguration"].update(CanarySize=percent(20), LinearStepSize=percent(20))
    return deployment


GOOD = [
    ({}, config(2)),
    (guarded({}, "errors"), config(2)),
    (blue_green("ALL_AT_ONCE", termination=3600), config(1)),
    (blue_green("CANARY", percent(1)), config(1)),
    (blue_green("CANARY", percent(50)), config(1, 1)),
    (blue_green("CANARY", count(1)), config(2)),
    (blue_green("CANARY", count(1)), config(100)),
    (blue_green("CANARY", percent(50)), config(None)),
    (blue_green("LINEAR", percent(10)), config(1)),
    (blue_green("LINEAR", count(1)), config(10)),
    (rolling(percent(5)), config(2)),
    (rolling(count(1)), config(20)),
    (rolling(count(1), back=percent(100)), config(2)),
    (rolling(count(1), back=count(7)), config(2)),
    (limited(blue_green("CANARY", percent(10), wait=300, termination=299), 600), config(2)),
    (limited(blue_green("LINEAR", percent(10), wait=600), 601), config(2)),
    (limited(rolling(count(1), wait=300), 601), config(2)),
]


@pytest.mark.parametrize(("deployment", "target"), GOOD)
def test_what_aws_takes_passes(deployment: dict[str, Any], target: dict[str, Any]) -> None:
    """The edges of every rule are allowed."""
    check_guardrails({"DeploymentConfig": deployment}, target)


REFUSED = [
    # one policy
    ({**blue_green("ALL_AT_ONCE"), **rolling(count(1))}, config(2), "", "one update policy"),
    # the size that a kind of shift has, and no other
    (blue_green("CANARY"), config(2), f"{ROUTING}.CanarySize", "CANARY requires it"),
    (blue_green("LINEAR"), config(2), f"{ROUTING}.LinearStepSize", "LINEAR requires it"),
    (with_both_sizes("CANARY"), config(2), f"{ROUTING}.LinearStepSize", "nothing"),
    (with_both_sizes("LINEAR"), config(2), f"{ROUTING}.CanarySize", "nothing"),
    # how large it is
    (blue_green("CANARY", percent(51)), config(2), f"{ROUTING}.CanarySize.Value", "1 to 50 percent"),
    (blue_green("LINEAR", percent(9)), config(2), f"{ROUTING}.LinearStepSize.Value", "10 to 50 percent"),
    (blue_green("LINEAR", percent(51)), config(2), f"{ROUTING}.LinearStepSize.Value", "10 to 50 percent"),
    (rolling(percent(4)), config(2), f"{ROLLING}.MaximumBatchSize.Value", "5 to 50 percent"),
    (rolling(percent(51)), config(2), f"{ROLLING}.MaximumBatchSize.Value", "5 to 50 percent"),
    (blue_green("CANARY", count(1)), config(2, 1), f"{ROUTING}.CanarySize.Value", "of the 1 instance"),
    (blue_green("LINEAR", count(1)), config(11), f"{ROUTING}.LinearStepSize.Value", "10 to 50 percent of the 11"),
    (rolling(count(1)), config(21), f"{ROLLING}.MaximumBatchSize.Value", "5 to 50 percent of the 21"),
    (rolling(count(2)), config(3), f"{ROLLING}.MaximumBatchSize.Value", "5 to 50 percent of the 3"),
    (rolling(count(1), back=percent(101)), config(2), f"{ROLLING}.RollbackMaximumBatchSize.Value", "1 to 100 percent"),
    # how long all of it may take
    (
        limited(blue_green("ALL_AT_ONCE", termination=600), 600),
        config(2),
        f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds",
        "more than the 600 s",
    ),
    (
        limited(blue_green("CANARY", percent(10), wait=300, termination=300), 600),
        config(2),
        f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds",
        "more than the 600 s",
    ),
    (
        limited(blue_green("LINEAR", percent(25), wait=300, termination=100), 1000),
        config(4),
        f"{BLUE_GREEN}.MaximumExecutionTimeoutInSeconds",
        "more than the 1000 s",
    ),
    (
        limited(rolling(count(1), wait=300), 900),
        config(3),
        f"{ROLLING}.MaximumExecutionTimeoutInSeconds",
        "more than the 900 s",
    ),
    # what guards it
    ({"AutoRollbackConfiguration": {"Alarms": [{}]}}, config(2), "AutoRollbackConfiguration.Alarms[0].AlarmName", ""),
    # what it cannot be done with
    (rolling(count(1)), config(2, 2), ROLLING, "one variant"),
    (rolling(percent(50)), config(None), ROLLING, "serverless"),
    (guarded({}, "errors"), config(2, instance_type="ml.inf1.xlarge"), "", "other than Inf1"),
]


@pytest.mark.parametrize(("deployment", "target", "where", "allowed"), REFUSED)
def test_what_aws_refuses_is_refused_with_its_place(
    deployment: dict[str, Any], target: dict[str, Any], where: str, allowed: str
) -> None:
    """The error names the member as the DAG's author wrote it, and what may stand there."""
    with pytest.raises(RequestError) as raised:
        check_guardrails({"DeploymentConfig": deployment}, target)
    assert raised.value.field == ".".join(filter(None, ("update_config.DeploymentConfig", where)))
    assert allowed in raised.value.allowed


def test_everything_is_told_at_once() -> None:
    """Nobody has to run a task once for each mistake."""
    deployment = guarded({**blue_green("CANARY"), **rolling(percent(60))}, "a")
    with pytest.raises(RequestError) as raised:
        check_guardrails({"DeploymentConfig": deployment}, config(1, 1))
    message = str(raised.value)
    assert "one update policy" in message
    assert "CanarySize: got None" in message
    assert "MaximumBatchSize.Value: got 60" in message
    assert "RollingUpdatePolicy: got ['Variant0', 'Variant1']" in message


@pytest.mark.parametrize("flags", [{}, {"RetainAllVariantProperties": False}])
def test_properties_are_excluded_only_from_what_is_retained(flags: dict[str, Any]) -> None:
    """Without RetainAllVariantProperties AWS would pass the list by."""
    excluded = {"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredWeight"}]}
    with pytest.raises(RequestError, match="RetainAllVariantProperties is true") as raised:
        check_guardrails({**flags, **excluded}, config(1))
    assert raised.value.field == "update_config.ExcludeRetainedVariantProperties"
    check_guardrails({"RetainAllVariantProperties": True, **excluded}, config(1))


def test_data_capture_cannot_be_excluded() -> None:
    """The model has the value, AWS does not support it."""
    excluded = [{"VariantPropertyType": "DesiredWeight"}, {"VariantPropertyType": "DataCaptureConfig"}]
    update = {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": excluded}
    with pytest.raises(RequestError) as raised:
        check_guardrails(update, config(1))
    assert raised.value.field == "update_config.ExcludeRetainedVariantProperties[1].VariantPropertyType"


def test_instances_that_only_aws_knows_are_not_judged() -> None:
    """Where the present counts are retained, those of the configuration mean nothing, unless they are excluded."""
    update = {"RetainAllVariantProperties": True, "DeploymentConfig": blue_green("CANARY", count(3))}
    check_guardrails(update, config(1))
    excluded = {"ExcludeRetainedVariantProperties": [{"VariantPropertyType": "DesiredInstanceCount"}]}
    with pytest.raises(RequestError, match="of the 1 instance"):
        check_guardrails({**update, **excluded}, config(1))
