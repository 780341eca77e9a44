"""How an endpoint comes up, answers, and gets over a container that does not."""

from __future__ import annotations

import json

import botocore.exceptions
import pytest

from tests.support.hosting import HostingAccount, arn, error_response, refusal
from tests.support.image_cloud import DOCKERFILE
from tests.support.process_cloud import wait_until


@pytest.fixture(scope="module")
def name(hosting: HostingAccount) -> str:
    """One endpoint for the tests that only invoke."""
    return hosting.endpoint(hosting.simple_config("alpha"))


def test_an_endpoint_comes_up_and_answers(hosting: HostingAccount) -> None:
    """It is Creating at first, then InService; an invocation reaches the container with the model's data."""
    config, name = hosting.simple_config("alpha"), hosting.name("Endpoint")

    created = hosting.sagemaker.create_endpoint(EndpointName=name, EndpointConfigName=config)
    status_at_first = hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
    endpoint = hosting.settled(name)
    answer = hosting.runtime.invoke_endpoint(
        EndpointName=name, Body=b"1,2", ContentType="text/csv", CustomAttributes="trace=7"
    )

    assert created["EndpointArn"] == arn("endpoint", name)
    assert status_at_first == "Creating"
    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", config)
    assert answer["Body"].read() == b"alpha"
    assert answer["ContentType"] == "text/csv"
    assert answer["InvokedProductionVariant"] == "AllTraffic"
    assert answer["CustomAttributes"] == "trace=7"


def test_the_container_sees_what_the_contract_says(hosting: HostingAccount) -> None:
    """The model's environment is there, the machine's is not, and nothing below the model may be written."""
    name = hosting.endpoint(hosting.simple_config("alpha", COLOUR="green"))

    environment = json.loads(hosting.invoke(name, b"environment"))
    modes = json.loads(hosting.invoke(name, b"modes"))

    assert environment["COLOUR"] == "green"
    assert not {"PYTEST_CURRENT_TEST", "VIRTUAL_ENV"} & set(environment)
    assert modes == {"model": "0o555", "name": "0o444"}


@pytest.mark.parametrize("isolated", [False, True])
def test_a_container_reaches_this_cloud_unless_it_is_isolated(hosting: HostingAccount, *, isolated: bool) -> None:
    """Code that reads S3 at start works as with the model's role on AWS; network isolation takes keys and address."""
    model = hosting.name("model")
    hosting.sagemaker.create_model(
        ModelName=model,
        ExecutionRoleArn=hosting.role_arn,
        PrimaryContainer={"Image": hosting.image},
        EnableNetworkIsolation=isolated,
    )

    environment = json.loads(hosting.invoke(hosting.endpoint(hosting.config({"ModelName": model})), b"environment"))

    ours = {name: value for name, value in environment.items() if name.startswith("AWS_")}
    keys = {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local"}
    address = {"AWS_ENDPOINT_URL": hosting.cloud.endpoint_url}
    assert ours == {"AWS_REGION": "us-east-1"} | ({} if isolated else keys | address)


def test_the_output_of_containers_is_logged_per_instance(hosting: HostingAccount) -> None:
    """The group is the endpoint's, the stream is variant and instance."""
    name = hosting.endpoint(hosting.simple_config("alpha", MODE="talkative"))

    wait_until(lambda: "serving talkative" in hosting.log(name), "the log has the container's line")
    streams = hosting.cloud.client("logs").describe_log_streams(logGroupName=f"/aws/sagemaker/Endpoints/{name}")
    assert [stream["logStreamName"].partition("/i-")[0] for stream in streams["logStreams"]] == ["AllTraffic"]


@pytest.mark.parametrize("mode", ["exit", "unhealthy"])
def test_an_endpoint_whose_container_does_not_come_up_fails(hosting: HostingAccount, mode: str) -> None:
    """The reason is AWS's, nothing but deletion is allowed, and the log tells why."""
    name = hosting.endpoint(hosting.simple_config("alpha", MODE=mode))
    endpoint = hosting.settled(name)
    other = hosting.simple_config("beta")

    assert endpoint["EndpointStatus"] == "Failed"
    assert endpoint["FailureReason"] == (
        "The primary container for production variant AllTraffic did not pass the ping health check. "
        "Please check CloudWatch logs for this endpoint."
    )
    assert "it can only be deleted" in refusal(
        lambda: hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=other)
    )
    assert hosting.log(name) == [{"exit": "this container never serves", "unhealthy": "serving unhealthy"}[mode]] + (
        ["told to end"] if mode == "unhealthy" else []
    )
    hosting.sagemaker.delete_endpoint(EndpointName=name)
    hosting.wait_until_gone(name)


def test_an_image_without_serve_fails_with_the_command_to_try(hosting: HostingAccount) -> None:
    """The reason shows the ``docker run`` that has to work."""
    image = hosting.cloud.push("no-serve", {"Dockerfile": DOCKERFILE})
    model = hosting.name("model")
    hosting.sagemaker.create_model(
        ModelName=model, ExecutionRoleArn=hosting.role_arn, PrimaryContainer={"Image": image}
    )

    endpoint = hosting.settled(hosting.endpoint(hosting.config({"ModelName": model})))

    assert endpoint["FailureReason"] == (
        "CannotStartContainerError. Please ensure the model container for variant AllTraffic starts correctly when "
        f"invoked with 'docker run {image} serve'"
    )


def test_a_container_that_ends_is_replaced(hosting: HostingAccount) -> None:
    """The endpoint stays InService and answers again from a new instance."""
    name = hosting.endpoint(hosting.simple_config("alpha"))

    refused = refusal(lambda: hosting.invoke(name, b"exit"))

    assert refused.startswith("ModelError: Received server error (500) from primary")
    wait_until(lambda: _answers(hosting, name), "a new instance answers")
    assert hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] == "InService"
    wait_until(lambda: hosting.log(name).count("serving ") == 2, "both instances have logged")


def _answers(hosting: HostingAccount, name: str) -> bool:
    try:
        return hosting.invoke(name) == "alpha"
    except botocore.exceptions.ClientError:
        return False


@pytest.mark.parametrize(("status", "kind"), [(400, "client"), (415, "client"), (500, "server"), (503, "server")])
def test_a_bad_status_of_the_container_is_a_modelerror_response(
    hosting: HostingAccount, name: str, status: int, kind: str
) -> None:
    """Code 424 with the container's status and body, worded as on AWS."""
    response = error_response(lambda: hosting.invoke(name, f"status {status}".encode()))

    assert response["ResponseMetadata"]["HTTPStatusCode"] == 424
    assert response["Error"]["Code"] == "ModelError"
    assert response["Error"]["Message"] == (
        f'Received {kind} error ({status}) from primary with message "because of you". See '
        "https://us-east-1.console.aws.amazon.com/cloudwatch/home?region=us-east-1#logEventViewer:"
        f"group=/aws/sagemaker/Endpoints/{name} in account 123456789012 for more information."
    )
    assert response["OriginalStatusCode"] == status
    assert response["OriginalMessage"] == "because of you"
    assert response["LogStreamArn"].endswith(f":log-group:/aws/sagemaker/Endpoints/{name}")


def test_bodies_are_bytes(hosting: HostingAccount, name: str) -> None:
    """Nothing is decoded on the way, in either direction."""
    body = b"echo " + bytes(range(256))

    answer = hosting.runtime.invoke_endpoint(EndpointName=name, Body=body, ContentType="application/octet-stream")

    assert answer["Body"].read() == body
