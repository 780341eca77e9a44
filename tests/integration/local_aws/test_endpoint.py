"""Endpoints over HTTP with real serving processes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hosting import BUCKET, HostingAccount, arn, refusal
from tests.support.process_cloud import process_cloud, wait_until
from tests.support.traffic import traffic

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=3.0) as cloud:
        yield HostingAccount(cloud)


def test_the_description_shows_variants_with_the_image_by_digest(account: HostingAccount) -> None:
    """Weights, counts and the resolved image are those of what really runs."""
    endpoint = account.settled(account.endpoint(account.simple_config("alpha")))

    (variant,) = endpoint["ProductionVariants"]
    (image,) = variant["DeployedImages"]
    assert (variant["VariantName"], variant["CurrentWeight"], variant["DesiredInstanceCount"]) == ("AllTraffic", 1.0, 1)
    assert variant["CurrentInstanceCount"] == 1
    assert image["SpecifiedImage"] == account.image
    assert image["ResolvedImage"].startswith(account.image.rpartition(":")[0] + "@sha256:")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"not an archive", "Failed to extract model data archive"),
        (None, "Failed to download model data"),
    ],
)
def test_model_data_that_went_bad_fails_the_endpoint(
    account: HostingAccount, content: bytes | None, reason: str
) -> None:
    """What changed in S3 after CreateModel shows when an instance starts."""
    config = account.simple_config("alpha")
    model = account.sagemaker.describe_endpoint_config(EndpointConfigName=config)["ProductionVariants"][0]["ModelName"]
    url = account.sagemaker.describe_model(ModelName=model)["PrimaryContainer"]["ModelDataUrl"]
    key = url.removeprefix(f"s3://{BUCKET}/")
    if content is None:
        account.s3.delete_object(Bucket=BUCKET, Key=key)
    else:
        account.s3.put_object(Bucket=BUCKET, Key=key, Body=content)

    endpoint = account.settled(account.endpoint(config))

    assert endpoint["EndpointStatus"] == "Failed"
    assert reason in endpoint["FailureReason"]
    assert url in endpoint["FailureReason"]


def test_a_later_good_update_clears_the_reason(account: HostingAccount) -> None:
    """FailureReason speaks of the last update only."""
    name = account.endpoint(account.simple_config("old"))
    for config in (account.simple_config("bad", MODE="exit"), account.simple_config("good")):
        account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config)
        endpoint = account.settled(name)

    assert "FailureReason" not in endpoint
    assert account.invoke(name) == "good"


def test_weights_and_counts_can_be_changed_while_it_serves(account: HostingAccount) -> None:
    """Traffic follows the weights, and instances come and go."""
    config = account.config(
        {"ModelName": account.model("one"), "InitialVariantWeight": 1.0},
        {"ModelName": account.model("two"), "InitialVariantWeight": 0.0},
    )
    name = account.endpoint(config)
    before = {account.invoke(name) for _ in range(20)}

    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[
            {"VariantName": "Variant1", "DesiredWeight": 0.0},
            {"VariantName": "Variant2", "DesiredWeight": 3.0, "DesiredInstanceCount": 2},
        ],
    )
    endpoint = account.settled(name)

    assert before == {"one"}
    assert {account.invoke(name) for _ in range(20)} == {"two"}
    assert [(v["CurrentWeight"], v["CurrentInstanceCount"]) for v in endpoint["ProductionVariants"]] == [(0, 1), (3, 2)]
    assert endpoint["EndpointConfigName"] == config


def test_traffic_is_split_by_weight_and_can_be_aimed(account: HostingAccount) -> None:
    """Both variants get their part; TargetVariant overrules the weights."""
    name = account.endpoint(
        account.config(
            {"ModelName": account.model("one"), "InitialVariantWeight": 1.0},
            {"ModelName": account.model("two"), "InitialVariantWeight": 1.0},
        )
    )

    answers = [account.invoke(name) for _ in range(60)]
    aimed = {account.invoke(name, TargetVariant="Variant2") for _ in range(10)}

    # With equal weights, fewer than 10 of 60 for one of them has a probability below 1e-7.
    assert min(answers.count("one"), answers.count("two")) >= 10
    assert aimed == {"two"}


def test_a_variant_without_weight_answers_to_its_name_alone(account: HostingAccount) -> None:
    """It gets no traffic until it has a weight, and then all of it if no other one has; requests go on meanwhile."""
    config = account.config(
        {"ModelName": account.model("live")}, {"ModelName": account.model("candidate"), "InitialVariantWeight": 0.0}
    )
    name = account.endpoint(config)
    assert {account.invoke(name) for _ in range(30)} == {"live"}
    assert account.invoke(name, TargetVariant="Variant2") == "candidate"
    with traffic(lambda: account.cloud.client("sagemaker-runtime"), name, b"1") as seen:
        seen.wait_for(10)
        account.sagemaker.update_endpoint_weights_and_capacities(
            EndpointName=name,
            DesiredWeightsAndCapacities=[
                {"VariantName": "Variant1", "DesiredWeight": 0.0},
                {"VariantName": "Variant2", "DesiredWeight": 1.0},
            ],
        )
        account.settled(name)
        seen.wait_for(10)
    assert seen.failures == []
    assert {account.invoke(name) for _ in range(30)} == {"candidate"}


def test_retained_variant_properties_survive_an_update(account: HostingAccount) -> None:
    """RetainAllVariantProperties keeps the instance count, except for what is excluded."""
    name = account.endpoint(account.simple_config("old"))
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name,
        DesiredWeightsAndCapacities=[{"VariantName": "AllTraffic", "DesiredInstanceCount": 2, "DesiredWeight": 5.0}],
    )
    account.settled(name)

    account.sagemaker.update_endpoint(
        EndpointName=name,
        EndpointConfigName=account.simple_config("new"),
        RetainAllVariantProperties=True,
        ExcludeRetainedVariantProperties=[{"VariantPropertyType": "DesiredWeight"}],
    )
    (variant,) = account.settled(name)["ProductionVariants"]

    assert (variant["CurrentInstanceCount"], variant["CurrentWeight"]) == (2, 1.0)
    assert account.invoke(name) == "new"


def test_an_endpoint_in_progress_can_be_neither_updated_nor_deleted(account: HostingAccount) -> None:
    """AWS answers both with the same words."""
    name = account.endpoint(account.simple_config("old"))
    other, third = account.simple_config("new"), account.simple_config("third")
    in_progress = f'ValidationException: Cannot update in-progress endpoint "{arn("endpoint", name)}".'

    # The request keeps the old fleet alive.
    with account.held_request(name):
        account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
        refusals = [
            refusal(lambda: account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=third)),
            refusal(lambda: account.sagemaker.delete_endpoint(EndpointName=name)),
        ]

    assert refusals == [in_progress, in_progress]
    assert account.settled(name)["EndpointConfigName"] == other


def test_names_of_endpoints_are_unique_without_regard_to_case(account: HostingAccount) -> None:
    """The name is taken in any case, but an invocation must match it exactly."""
    config = account.simple_config("alpha")
    name = account.endpoint(config)

    assert (
        refusal(lambda: account.sagemaker.create_endpoint(EndpointName=name.upper(), EndpointConfigName=config))
        == f'ValidationException: Cannot create already existing endpoint "{arn("endpoint", name)}".'
    )
    assert refusal(lambda: account.invoke(name.upper())) == (
        f"ValidationError: Endpoint {name.upper()} of account 123456789012 not found."
    )


def test_an_update_needs_another_configuration_that_exists(account: HostingAccount) -> None:
    """The same one and an unknown one are refused, and nothing changes."""
    config = account.simple_config("alpha")
    name = account.endpoint(config)

    same = refusal(lambda: account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config))
    unknown = refusal(lambda: account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="none"))

    assert "already has" in same
    assert unknown == f'ValidationException: Could not find endpoint configuration "{arn("endpoint-config", "none")}".'
    assert account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"


def test_state_changes_reach_eventbridge(account: HostingAccount) -> None:
    """A rule on the documented event gets every status with the documented detail."""
    events, sqs = account.cloud.client("events"), account.cloud.client("sqs")
    queue = sqs.create_queue(QueueName="endpoint-events")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    pattern = {"source": ["aws.sagemaker"], "detail-type": ["SageMaker Endpoint State Change"]}
    events.put_rule(Name="endpoints", EventPattern=json.dumps(pattern))
    events.put_targets(Rule="endpoints", Targets=[{"Id": "queue", "Arn": arn}])

    name = account.endpoint(account.simple_config("alpha"))
    seen: list[dict[str, Any]] = []

    def receive() -> bool:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        seen.extend(json.loads(message["Body"])["detail"] for message in messages)
        return "IN_SERVICE" in [detail["EndpointStatus"] for detail in seen if detail["EndpointName"] == name]

    wait_until(receive, "the event has arrived")
    mine = [detail for detail in seen if detail["EndpointName"] == name]
    assert [detail["EndpointStatus"] for detail in mine] == ["CREATING", "IN_SERVICE"]
    assert mine[-1]["ProductionVariants"] == [{"DesiredWeight": 1.0, "DesiredInstanceCount": 1}]
    assert isinstance(mine[-1]["CreationTime"], int)
