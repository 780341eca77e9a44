"""Endpoints over HTTP with real serving processes."""

from __future__ import annotations

import json
import threading
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import pytest

from tests.support.hosting import BUCKET, HostingAccount
from tests.support.process_cloud import process_cloud, wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=3.0) as cloud:
        yield HostingAccount(cloud)


def _refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def _arn(kind: str, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:123456789012:{kind}/{name.lower()}"


def test_an_endpoint_comes_up_and_answers(account: HostingAccount) -> None:
    """It is Creating at first, then InService; an invocation reaches the container with the model's data."""
    config, name = account.simple_config("alpha"), account.name("Endpoint")

    created = account.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    status_at_first = account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
    endpoint = account.settled(name)
    answer = account.runtime.invoke_endpoint(
        EndpointName=name, Body=b"1,2", ContentType="text/csv", CustomAttributes="trace=7"
    )

    assert created["EndpointArn"] == _arn("endpoint", name)
    assert status_at_first == "Creating"
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", config)
    assert answer["Body"].read() == b"alpha"
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "trace=7"


def test_the_description_shows_variants_with_the_image_by_digest(account: HostingAccount) -> None:
    """Weights, counts and the resolved image are those of what really runs."""
    endpoint = account.settled(account.endpoint(account.simple_config("alpha")))

    (variant,) = endpoint["ProductionVariants"]
    (image,) = variant["DeployedImages"]
    assert (variant["VariantName"], variant["CurrentWeight"], variant["DesiredInstanceCount"]) == ("AllTraffic", 1.0, 1)
    assert variant["CurrentInstanceCount"] == 1
    assert image["SpecifiedImage"] == account.image
    assert image["ResolvedImage"].startswith(account.image.rpartition(":")[0] + "@sha256:")


def test_the_container_sees_what_the_contract_says(account: HostingAccount) -> None:
    """The model's environment is there, the machine's is not, and nothing below the model may be written."""
    name = account.endpoint(account.simple_config("alpha", COLOUR="green"))

    environment = json.loads(account.invoke(name, b"environment"))
    modes = json.loads(account.invoke(name, b"modes"))

    assert environment["COLOUR"] == "green"
    assert not {"PYTEST_CURRENT_TEST", "VIRTUAL_ENV"} & set(environment)
    assert modes == {"model": "0o555", "name": "0o444"}


@pytest.mark.parametrize("isolated", [False, True])
def test_a_container_reaches_this_cloud_unless_it_is_isolated(account: HostingAccount, *, isolated: bool) -> None:
    """Code that reads S3 at start works as with the model's role on AWS; network isolation takes keys and address."""
    model = account.name("model")
    account.sagemaker.create_model(
        ModelName=model,
        ExecutionRoleArn=account.role_arn,
        PrimaryContainer={"Image": account.image},
        EnableNetworkIsolation=isolated,
    )

    environment = json.loads(account.invoke(account.endpoint(account.config({"ModelName": model})), b"environment"))

    ours = {name: value for name, value in environment.items() if name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    address = {"AWS_ENDPOINT_URL": account.cloud.endpoint_url}
    assert ours == {"AWS_REGION": "us-east-1"} | ({} if isolated else keys | address)


def test_the_output_of_containers_is_logged_per_instance(account: HostingAccount) -> None:
    """The group is the endpoint's, the stream is variant and instance."""
    name = account.endpoint(account.simple_config("alpha", MODE="talkative"))

    wait_until(lambda: "serving talkative" in account.log(name), "the log has the container's line")
    streams = account.cloud.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    assert [stream["logStreamName"].partition("/i-")[0] for stream in streams["logStreams"]] == ["AllTraffic"]


def test_an_update_under_load_loses_no_request(account: HostingAccount) -> None:
    """Every request during the swap is answered by the old or the new fleet, and the new one stays."""
    name, new_config = account.endpoint(account.simple_config("old")), account.simple_config("new")
    answers: list[str] = []
    ended = threading.Event()

    def keep_asking() -> None:
        while not ended.is_set():
            try:
                answers.append(account.invoke(name))
            except botocore.exceptions.ClientError as error:
                answers.append(str(error))

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(answers) > 20, "the load is on")
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new_config)
    during = account.sagemaker.describe_endpoint(EndpointName=name)
    after = account.settled(name)
    ended.set()
    for thread in threads:
        thread.join()

    assert set(answers) == {"old", "new"}
    assert during["EndpointStatus"] == "Updating"
    assert during["EndpointConfigName"] != new_config
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == new_config
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", new_config)
    assert "PendingDeploymentSummary" not in after
    assert account.invoke(name) == "new"
    wait_until(lambda: "told to end" in account.log(name), "the old container was told to end")


def test_an_update_waits_for_requests_of_the_old_fleet(account: HostingAccount, tmp_path: Path) -> None:
    """A request that was running when the traffic moved gets its answer from the old container."""
    name, release = account.endpoint(account.simple_config("old")), tmp_path / "release"
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(account.invoke(name, f"wait {release}".encode())))
    thread.start()
    wait_until((tmp_path / "arrived").exists, "the request has arrived")

    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=account.simple_config("new"))
    wait_until(lambda: account.invoke(name) == "new", "the new fleet answers")
    still = account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
    release.touch()
    thread.join()

    assert still == "Updating"
    assert answers == ["waited"]
    assert account.settled(name)["EndpointStatus"] == "InService"


@pytest.mark.parametrize("mode", ["exit", "unhealthy"])
def test_an_endpoint_whose_container_does_not_come_up_fails(account: HostingAccount, mode: str) -> None:
    """The reason is AWS's, nothing but deletion is allowed, and the log tells why."""
    name = account.endpoint(account.simple_config("alpha", MODE=mode))
    endpoint = account.settled(name)
    other = account.simple_config("beta")

    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert "it can only be deleted" in _refusal(
        lambda: account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    )
    assert account.log(name) == [{"exit": "this container never serves", "unhealthy": "serving unhealthy"}[mode]] + (
        ["told to end"] if mode == "unhealthy" else []
    )
    account.sagemaker.delete_endpoint(EndpointName=name)
    _wait_until_gone(account, name)


def test_an_image_without_serve_fails_with_the_command_to_try(account: HostingAccount) -> None:
    """The reason shows the ``docker run`` that has to work."""
    image = account.cloud.push("no-serve", {"Dockerfile": "FROM a\n"})
    model = account.name("model")
    account.sagemaker.create_model(
        ModelName=model, ExecutionRoleArn=account.role_arn, PrimaryContainer={"Image": image}
    )

    endpoint = account.settled(account.endpoint(account.config({"ModelName": model})))

    assert endpoint["FailureReason"] == (
        "CannotStartContainerError. Please ensure the model container for variant AllTraffic starts correctly when "
        f"invoked with 'docker run {image} serve'"
    )


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


def test_a_failed_update_leaves_the_old_fleet_serving(account: HostingAccount) -> None:
    """Status and configuration look as before; only the reason tells that the update failed."""
    old_config = account.simple_config("old")
    name, bad_config = account.endpoint(old_config), account.simple_config("new", MODE="exit")

    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=bad_config)
    endpoint = account.settled(name)

    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", old_config)
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert account.invoke(name) == "old"


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


def test_a_container_that_ends_is_replaced(account: HostingAccount) -> None:
    """The endpoint stays InService and answers again from a new instance."""
    name = account.endpoint(account.simple_config("alpha"))

    refused = _refusal(lambda: account.invoke(name, b"exit"))

    assert refused.startswith("ModelError: Received server error (500) from primary")
    wait_until(lambda: _answers(account, name), "a new instance answers")
    assert account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"
    wait_until(lambda: account.log(name).count("serving ") == 2, "both instances have logged")


def _answers(account: HostingAccount, name: str) -> bool:
    try:
        return account.invoke(name) == "alpha"
    except botocore.exceptions.ClientError:
        return False


def test_deletion_lets_the_running_request_finish(account: HostingAccount, tmp_path: Path) -> None:
    """A deleted endpoint is Deleting until its last answer is out, then it is gone with its files."""
    name, release = account.endpoint(account.simple_config("alpha")), tmp_path / "release"
    answers: list[str] = []
    thread = threading.Thread(target=lambda: answers.append(account.invoke(name, f"wait {release}".encode())))
    thread.start()
    wait_until((tmp_path / "arrived").exists, "the request has arrived")

    account.sagemaker.delete_endpoint(EndpointName=name)
    status = account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
    refused = _refusal(lambda: account.invoke(name))
    release.touch()
    thread.join()

    assert status == "Deleting"
    assert refused == f"ValidationError: Endpoint {name} of account 123456789012 not found."
    assert answers == ["waited"]
    _wait_until_gone(account, name)


def _wait_until_gone(account: HostingAccount, name: str) -> None:
    def is_gone() -> bool:
        names = [found["EndpointName"] for found in account.sagemaker.list_endpoints(NameContains=name)["Endpoints"]]
        return name not in names

    wait_until(is_gone, f"{name} is gone")
    assert _refusal(lambda: account.sagemaker.describe_endpoint(EndpointName=name)) == (
        f'ValidationException: Could not find endpoint "{_arn("endpoint", name)}".'
    )


def test_an_endpoint_in_progress_can_be_neither_updated_nor_deleted(account: HostingAccount, tmp_path: Path) -> None:
    """AWS answers both with the same words."""
    name, release = account.endpoint(account.simple_config("old")), tmp_path / "release"
    thread = threading.Thread(target=lambda: account.invoke(name, f"wait {release}".encode()))
    thread.start()
    wait_until((tmp_path / "arrived").exists, "a request keeps the old fleet alive")
    other, third = account.simple_config("new"), account.simple_config("third")
    account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)

    in_progress = f'ValidationException: Cannot update in-progress endpoint "{_arn("endpoint", name)}".'
    refusals = [
        _refusal(lambda: account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=third)),
        _refusal(lambda: account.sagemaker.delete_endpoint(EndpointName=name)),
    ]
    release.touch()
    thread.join()

    assert refusals == [in_progress, in_progress]
    assert account.settled(name)["EndpointConfigName"] == other


def test_names_of_endpoints_are_unique_without_regard_to_case(account: HostingAccount) -> None:
    """The name is taken in any case, but an invocation must match it exactly."""
    config = account.simple_config("alpha")
    name = account.endpoint(config)

    assert (
        _refusal(lambda: account.sagemaker.create_endpoint(EndpointName=name.upper(), EndpointConfigName=config))
        == f'ValidationException: Cannot create already existing endpoint "{_arn("endpoint", name)}".'
    )
    assert _refusal(lambda: account.invoke(name.upper())) == (
        f"ValidationError: Endpoint {name.upper()} of account 123456789012 not found."
    )


def test_an_update_needs_another_configuration_that_exists(account: HostingAccount) -> None:
    """The same one and an unknown one are refused, and nothing changes."""
    config = account.simple_config("alpha")
    name = account.endpoint(config)

    same = _refusal(lambda: account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=config))
    unknown = _refusal(lambda: account.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName="none"))

    assert "already has" in same
    assert unknown == f'ValidationException: Could not find endpoint configuration "{_arn("endpoint-config", "none")}".'
    assert account.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"


@pytest.mark.parametrize(
    "deployment",
    [
        {
            "RollingUpdatePolicy": {
                "MaximumBatchSize": {"Type": "INSTANCE_COUNT", "Value": 1},
                "WaitIntervalInSeconds": 0,
            }
        },
        {"BlueGreenUpdatePolicy": {"TrafficRoutingConfiguration": {"Type": "CANARY", "WaitIntervalInSeconds": 0}}},
        {"AutoRollbackConfiguration": {"Alarms": [{"AlarmName": "a"}]}},
    ],
)
def test_a_rollout_that_is_not_carried_out_is_refused(account: HostingAccount, deployment: dict[str, Any]) -> None:
    """Nothing is silently done in another way than asked."""
    config, other = account.simple_config("alpha"), account.simple_config("beta")
    name = account.endpoint(config)

    refused = _refusal(
        lambda: account.sagemaker.update_endpoint(
            EndpointName=name, EndpointConfigName=other, DeploymentConfig=deployment
        )
    )

    assert (
        "the local AWS carries out BlueGreenUpdatePolicy with TrafficRoutingConfiguration.Type ALL_AT_ONCE" in refused
    )


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
