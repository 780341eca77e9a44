"""Deployment guardrails over HTTP with real serving processes: where the traffic goes, and who calls it back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hosting import BUCKET, HostingAccount, refusal
from tests.support.process_cloud import process_cloud, wait_until
from tests.support.rollout import blue_green, count, guarded, percent, rolling

if TYPE_CHECKING:
    from collections.abc import Iterator

LONG = 600
"""Seconds that no test waits for: the alarm comes first."""

EVERY_KIND = [
    pytest.param(blue_green("ALL_AT_ONCE", termination=1), id="all-at-once"),
    pytest.param(blue_green("CANARY", percent(30), wait=1, termination=1), id="canary"),
    pytest.param(blue_green("LINEAR", percent(50), wait=1), id="linear"),
    pytest.param(rolling(count(1), wait=1), id="rolling"),
]


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=5.0) as cloud:
        yield HostingAccount(cloud)


@pytest.fixture(scope="module")
def pair(account: HostingAccount) -> str:
    """An endpoint with two instances, for what is refused."""
    return account.endpoint(config(account, "old"))


def config(account: HostingAccount, answer: str, instances: int = 2, **environment: str) -> str:
    """Make a configuration with some instances of one variant; return its name."""
    return account.config({"ModelName": account.model(answer, **environment), "InitialInstanceCount": instances})


def alarm(account: HostingAccount, state: str = "OK") -> str:
    """Make an alarm in a state; return its name."""
    name = account.name("alarm")
    account.cloud.client("cloudwatch").put_metric_alarm(
        AlarmName=name,
        MetricName="Invocation5XXErrors",
        Namespace="AWS/SageMaker",
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )
    turn(account, name, state)
    return name


def turn(account: HostingAccount, name: str, state: str) -> None:
    """Bring an alarm to a state."""
    account.cloud.client("cloudwatch").set_alarm_state(AlarmName=name, StateValue=state, StateReason="a test")


def instances(account: HostingAccount) -> int:
    """Return how many instances there are on the local AWS, whatever endpoint they belong to."""
    places = account.cloud.state_dir / "endpoints"
    return len(list(places.iterdir()))


@pytest.mark.parametrize("deployment", EVERY_KIND)
def test_no_request_is_lost_on_the_way(account: HostingAccount, deployment: dict[str, Any]) -> None:
    """Under load every request is answered by the old or the new fleet; in the end the new one alone is there."""
    name, new_config = account.endpoint(config(account, "old")), config(account, "new")
    before = instances(account)
    with account.load(name) as answers:
        account.update(name, new_config, deployment)
        endpoint = account.settled(name)

    assert set(answers) == {"old", "new"}
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", new_config)
    assert "FailureReason" not in endpoint
    assert endpoint["LastDeploymentConfig"] == deployment
    assert {account.invoke(name) for _ in range(20)} == {"new"}
    assert instances(account) == before


@pytest.mark.parametrize("deployment", EVERY_KIND)
def test_a_container_that_does_not_start_leaves_the_old_fleet(
    account: HostingAccount, deployment: dict[str, Any]
) -> None:
    """With each policy the endpoint is InService as before, and only the reason tells."""
    old_config = config(account, "old")
    name = account.endpoint(old_config)
    before = instances(account)
    with account.load(name) as answers:
        account.update(name, config(account, "new", MODE="exit"), deployment)
        endpoint = account.settled(name)

    assert set(answers) == {"old"}
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", old_config)
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert instances(account) == before


def test_a_canary_gets_its_share_of_the_traffic(account: HostingAccount) -> None:
    """With a canary of one instance in four a quarter of the answers is new, all from that instance."""
    watch = alarm(account)
    name = account.endpoint(config(account, "old", 1))
    account.update(name, config(account, "new", 4), guarded(blue_green("CANARY", count(1), wait=LONG), watch))
    wait_until(lambda: account.stage(name).startswith("Baking"), "the canary bakes")

    answers = [account.invoke(name) for _ in range(400)]
    endpoint = account.sagemaker.describe_endpoint(EndpointName=name)
    turn(account, watch, "ALARM")
    account.settled(name)

    # Of 400 with a probability of 1/4, fewer than 55 or more than 145 come once in a million runs.
    assert 55 <= answers.count("new") <= 145
    assert answers.count("new") + answers.count("old") == 400
    assert account.stage(name) == ""
    (pending,) = endpoint["PendingDeploymentSummary"]["ProductionVariants"]
    assert (pending["CurrentInstanceCount"], pending["DesiredInstanceCount"]) == (1, 4)
    assert pending["VariantStatus"][0]["Status"] == "Baking"
    assert pending["VariantStatus"][0]["StatusMessage"] == (
        "Baking for 600 seconds (WaitIntervalInSeconds) with traffic enabled on canary capacity of 1 instance(s)."
    )
    (live,) = endpoint["ProductionVariants"]
    assert (live["CurrentInstanceCount"], live["DesiredInstanceCount"]) == (1, 1)


@pytest.mark.parametrize(
    "deployment",
    [
        pytest.param(blue_green("ALL_AT_ONCE", termination=LONG), id="all-at-once"),
        pytest.param(blue_green("CANARY", percent(50), wait=LONG), id="canary"),
        pytest.param(blue_green("CANARY", percent(50), termination=LONG), id="final-bake"),
        pytest.param(blue_green("LINEAR", percent(20), wait=LONG), id="linear"),
        pytest.param(rolling(count(1), wait=LONG), id="rolling"),
    ],
)
def test_an_alarm_brings_all_traffic_back(account: HostingAccount, deployment: dict[str, Any]) -> None:
    """Whatever was reached by then, the old fleet serves alone again, no request fails, and the reason names it."""
    watch, old_config = alarm(account), config(account, "old")
    name = account.endpoint(old_config)
    before = instances(account)
    with account.load(name) as answers:
        account.update(name, config(account, "new"), guarded(deployment, alarm(account), watch))
        wait_until(lambda: f"Baking for {LONG}" in account.stage(name) and "new" in answers, "the new fleet answers")
        turn(account, watch, "ALARM")
        endpoint = account.settled(name)
        after = len(answers)
        wait_until(lambda: len(answers) > after + 20, "it went on")

    assert set(answers) == {"old", "new"}
    assert set(answers[after + 2 :]) == {"old"}
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", old_config)
    assert endpoint["FailureReason"].endswith(f"CloudWatch alarm(s) in state ALARM: {watch}.")
    assert "VariantStatus" not in endpoint["ProductionVariants"][0]
    assert instances(account) == before


def test_an_alarm_that_rang_before_ends_the_update_at_its_first_look(account: HostingAccount) -> None:
    """The first bake sees it, even one of no seconds; the old configuration stays."""
    old_config = config(account, "old", 1)
    name = account.endpoint(old_config)
    account.update(name, config(account, "new", 1), guarded({}, alarm(account, "ALARM")))
    endpoint = account.settled(name)

    assert endpoint["EndpointConfigName"] == old_config
    assert "in state ALARM" in endpoint["FailureReason"]


def test_linear_steps_follow_one_another(account: HostingAccount) -> None:
    """Each step tells how much of the new fleet is on; the last one is the whole."""
    name = account.endpoint(config(account, "old", 1))
    account.update(name, config(account, "new", 2), blue_green("LINEAR", count(1), wait=1, termination=1))
    seen: list[str] = []

    def is_over() -> bool:
        stage = account.stage(name)
        if stage.startswith("Baking") and stage not in seen:
            seen.append(stage)
        return bool(account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService")

    wait_until(is_over, "the update is over")
    assert seen == [
        "Baking for 1 seconds (WaitIntervalInSeconds) with traffic enabled on capacity of 1 instance(s).",
        "Baking for 1 seconds (TerminationWaitInSeconds) with traffic enabled on full capacity of 2 instance(s).",
    ]


def test_a_rolling_update_never_has_both_fleets_whole(account: HostingAccount) -> None:
    """With batches of one there is one instance more than usual, and the shares go with the batches."""
    watch = alarm(account)
    name = account.endpoint(config(account, "old", 2))
    before = instances(account)
    deployment = guarded(rolling(percent(50), wait=2), watch)
    account.update(name, config(account, "new", 4), deployment)
    most = 0

    def is_in_second_batch() -> bool:
        nonlocal most
        most = max(most, instances(account) - before)
        return account.stage(name).endswith("full capacity of 4 instance(s).")

    wait_until(is_in_second_batch, "the second batch is on")
    endpoint = account.sagemaker.describe_endpoint(EndpointName=name)
    account.settled(name)

    assert most == 3
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    assert {account.invoke(name) for _ in range(20)} == {"new"}
    assert instances(account) == before + 2


@pytest.mark.parametrize("back", [None, count(1)])
def test_old_instances_that_were_gone_come_back(account: HostingAccount, back: dict[str, Any] | None) -> None:
    """An alarm in the last batch of a rolling update starts what had ended, at once or one by one."""
    watch, old_config = alarm(account), config(account, "old", 3)
    name = account.endpoint(old_config)
    before = instances(account)
    with account.load(name) as answers:
        account.update(name, config(account, "new", 3), guarded(rolling(count(1), wait=1, back=back), watch))
        wait_until(lambda: account.stage(name).endswith("full capacity of 3 instance(s)."), "the last batch is on")
        turn(account, watch, "ALARM")
        endpoint = account.settled(name)

    assert set(answers) == {"old", "new"}
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", old_config)
    assert endpoint["ProductionVariants"][0]["CurrentInstanceCount"] == 3
    assert {account.invoke(name) for _ in range(20)} == {"old"}
    assert instances(account) == before


def test_a_way_back_that_fails_leaves_a_mix_that_can_be_updated(account: HostingAccount) -> None:
    """UpdateRollbackFailed serves from both fleets; an update that succeeds, even to the old one, heals it."""
    watch, old_config = alarm(account), config(account, "old", 2)
    name = account.endpoint(old_config)
    before = instances(account)
    (variant,) = account.sagemaker.describe_endpoint_config(EndpointConfigName=old_config)["ProductionVariants"]
    url = account.sagemaker.describe_model(ModelName=variant["ModelName"])["PrimaryContainer"]["ModelDataUrl"]
    key = url.removeprefix(f"s3://{BUCKET}/")
    content = account.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()

    with account.load(name) as answers:
        account.update(name, config(account, "new", 2), guarded(rolling(count(1), wait=1), watch))
        account.s3.delete_object(Bucket=BUCKET, Key=key)
        wait_until(lambda: account.stage(name).endswith("full capacity of 2 instance(s)."), "the last batch is on")
        turn(account, watch, "ALARM")
        mixed = account.settled(name)
        mix = {account.invoke(name) for _ in range(60)}
        scaling = refusal(
            lambda: account.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=name,
                DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 1}],
            )
        )
        account.update(name, old_config)
        still = account.settled(name)
        account.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        account.update(name, old_config)
        healed = account.settled(name)

    assert (mixed["EndpointStatus"], mixed["EndpointConfigName"]) == ("UpdateRollbackFailed", old_config)
    assert "in state ALARM" in mixed["FailureReason"]
    assert "Failed to download model data" in mixed["FailureReason"]
    assert mix == {"old", "new"}
    assert "call UpdateEndpoint first" in scaling
    assert (still["EndpointStatus"], still["EndpointConfigName"]) == ("UpdateRollbackFailed", old_config)
    assert "in state ALARM" not in still["FailureReason"]
    assert (healed["EndpointStatus"], healed["EndpointConfigName"]) == ("InService", old_config)
    assert {account.invoke(name) for _ in range(20)} == {"old"}
    assert set(answers) == {"old", "new"}
    assert instances(account) == before


def test_the_last_deployment_configuration_is_used_again_only_when_asked(account: HostingAccount) -> None:
    """RetainDeploymentConfig takes what CreateEndpoint or the last update gave; without it the default holds."""
    name = account.name("Endpoint")
    deployment = guarded(blue_green("CANARY", percent(50), wait=LONG), alarm(account, "ALARM"))
    first = config(account, "first", 1)
    account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=first, DeploymentConfig=deployment)
    assert account.settled(name)["LastDeploymentConfig"] == deployment

    account.update(name, config(account, "second", 1), RetainDeploymentConfig=True)
    assert account.settled(name)["EndpointConfigName"] == first
    account.update(name, third := config(account, "third", 1))
    assert account.settled(name)["EndpointConfigName"] == third


def test_every_stage_of_a_deployment_reaches_eventbridge(account: HostingAccount) -> None:
    """A rule on the documented event gets the summary of the deployment, with times as numbers."""
    events, sqs = account.cloud.client("events"), account.cloud.client("sqs")
    queue = sqs.create_queue(QueueName="deployment-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"detail-type": ["SageMaker Endpoint Deployment State Change"]}
    events.put_rule(Name="deployments", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="deployments", Targets=[{"Id": "queue", "Arn": arn}])

    name, new_config = account.endpoint(config(account, "old", 1)), config(account, "new", 2)
    account.update(name, new_config, blue_green("CANARY", count(1)))
    account.settled(name)
    seen: list[dict[str, Any]] = []

    def receive() -> bool:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        seen.extend(json.loads(message["Body"])["detail"] for message in messages)
        return any("VariantStatus" in detail["ProductionVariants"][0] for detail in seen)

    wait_until(receive, "the last event has arrived")
    (old_at_the_end,) = seen[-1]["ProductionVariants"][0]["VariantStatus"]
    stages = [detail["PendingDeploymentSummary"]["ProductionVariants"][0] for detail in seen[:-1]]
    assert {detail["EndpointStatus"] for detail in seen} == {"UPDATING"}
    assert {detail["PendingDeploymentSummary"]["EndpointConfigName"] for detail in seen} == {new_config}
    assert [stage["VariantStatus"][0]["Status"] for stage in stages] == [
        "Creating",
        *("ActivatingTraffic", "Baking"),
        *("ActivatingTraffic", "Baking"),
    ]
    assert [stage["VariantStatus"][0]["StatusMessage"] for stage in stages[:2]] == [
        "Launching 2 instance(s).",
        "Activating traffic on canary capacity of 1 instance(s).",
    ]
    assert isinstance(seen[0]["PendingDeploymentSummary"]["StartTime"], int)
    assert (old_at_the_end["Status"], old_at_the_end["StatusMessage"]) == ("Deleting", "Terminating 1 instance(s).")


REFUSED = [
    ({**blue_green("ALL_AT_ONCE"), **rolling(count(1))}, "Only one update policy"),
    (blue_green("CANARY"), "CanarySize is required"),
    (blue_green("LINEAR"), "LinearStepSize is required"),
    (blue_green("CANARY", percent(51)), "CanarySize must be 1-50%"),
    (blue_green("LINEAR", percent(9)), "LinearStepSize must be 10-50%"),
    (rolling(percent(4)), "MaximumBatchSize must be 5-50%"),
    (blue_green("CANARY", count(2)), "must be 0-50%"),
    (rolling(count(2)), "must be 5-50%"),
    (guarded({}, "no-such-alarm"), "no-such-alarm"),
    ({"AutoRollbackConfiguration": {"Alarms": [{}]}}, "needs an AlarmName"),
]


@pytest.mark.parametrize(("deployment", "message"), REFUSED)
def test_what_cannot_be_carried_out_is_refused_at_the_call(
    account: HostingAccount, pair: str, deployment: dict[str, Any], message: str
) -> None:
    """Nothing is silently done in another way than asked, and the endpoint stays as it is."""
    refused = refusal(lambda: account.update(pair, config(account, "new"), deployment))

    assert refused.startswith("ValidationException: ")
    assert message in refused
    assert account.sagemaker.describe_endpoint(EndpointName=pair)["EndpointStatus"] == "InService"


def test_data_capture_cannot_be_excluded_from_what_is_kept(account: HostingAccount, pair: str) -> None:
    """The API has the value, AWS does not support it."""
    excluded = [{"VariantPropertyType": "DataCaptureConfig"}]
    kept: dict[str, Any] = {"RetainAllVariantProperties": True, "ExcludeRetainedVariantProperties": excluded}
    refused = refusal(lambda: account.update(pair, config(account, "new"), **kept))
    assert refused == "ValidationException: VariantPropertyType DataCaptureConfig is not supported."


def test_variants_must_fit_the_deployment(account: HostingAccount) -> None:
    """Guardrails need variants of the same names, rolling updates a single one; the default needs neither."""
    name = account.endpoint(config(account, "old", 1))
    two = account.config({"ModelName": account.model("one")}, {"ModelName": account.model("two")})
    other_names = refusal(lambda: account.update(name, two, blue_green("ALL_AT_ONCE")))
    account.update(name, two)
    account.settled(name)
    again = account.config({"ModelName": account.model("three")}, {"ModelName": account.model("four")})

    assert "must have the names of the present ones: AllTraffic" in other_names
    assert "several variants" in refusal(lambda: account.update(name, again, rolling(count(1))))
    account.update(name, again, blue_green("CANARY", percent(50)))
    account.settled(name)
    assert {account.invoke(name) for _ in range(60)} == {"three", "four"}
