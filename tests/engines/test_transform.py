"""How a transform job's container comes up, answers and ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.hosting import refusal
from tests.support.image_cloud import DOCKERFILE
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from tests.support.transforming import TransformAccount


def test_a_job_sends_its_objects_to_the_model(transforms: TransformAccount) -> None:
    """The model's data and variables are there, the job's own go over them, and the log has what the container says."""
    model = transforms.model("alpha", COLOUR="green", SIZE="small")

    job = transforms.run(
        model,
        {"name": b"1", "variables": b"environment ", "modes": b"modes "},
        Environment={"COLOUR": "red"},
        BatchStrategy="SingleRecord",
    )

    name = job["TransformJobName"]
    output = transforms.output(name)
    environment = json.loads(output["variables.out"])
    assert job["TransformJobStatus"] == "Completed"
    assert output["name.out"] == b"alpha"
    assert (environment["COLOUR"], environment["SIZE"]) == ("red", "small")
    batch = {key: value for key, value in environment.items() if key.startswith(("SAGEMAKER_BATCH", "SAGEMAKER_MAX"))}
    assert batch == {"SAGEMAKER_BATCH": "true", "SAGEMAKER_BATCH_STRATEGY": "SINGLE_RECORD"}
    assert json.loads(output["modes.out"]) == {"model": "0o555", "name": "0o444"}
    assert transforms.lines(name)[0] == "serving "


@pytest.mark.parametrize("mode", ["exit", "unhealthy"])
def test_a_job_whose_container_does_not_come_up_fails(transforms: TransformAccount, mode: str) -> None:
    """The reason is AWS's, and the log tells why."""
    job = transforms.run(transforms.model("alpha", MODE=mode), {"a": b"1"})

    assert (job["TransformJobStatus"], job["FailureReason"]) == (
        "Failed",
        "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
        "responds with an HTTP 200 status code",
    )
    assert (
        transforms.lines(job["TransformJobName"])[0]
        == ({"exit": "this container never serves", "unhealthy": "serving unhealthy"}[mode])
    )


def test_a_job_without_serve_in_its_image_fails_with_the_command_to_try(transforms: TransformAccount) -> None:
    """The reason shows the ``docker run`` that has to work."""
    hosting = transforms.hosting
    image = hosting.cloud.push("no-serve-to-transform", {"Dockerfile": DOCKERFILE})
    model = hosting.name("model")
    hosting.sagemaker.create_model(
        ModelName=model, ExecutionRoleArn=hosting.role_arn, PrimaryContainer={"Image": image}
    )

    reason = transforms.run(model, {"a": b"1"})["FailureReason"]

    assert reason.startswith("AlgorithmError: CannotStartContainerError. ")
    assert " serve'" in reason


def test_a_stop_ends_the_container_and_keeps_no_output(transforms: TransformAccount) -> None:
    """It is Stopping at first; what was answered by then is not uploaded, and a second stop comes too late."""
    token = transforms.hosting.name("token")
    name = transforms.create(transforms.model("alpha"), {"a": b"1", "b": f"wait {token}".encode()})
    held = transforms.arrived(token)

    transforms.sagemaker.stop_transform_job(TransformJobName=name)
    status_at_first = transforms.describe(name)["TransformJobStatus"]
    job = transforms.finish(name)

    assert (status_at_first, job["TransformJobStatus"]) == ("Stopping", "Stopped")
    assert "FailureReason" not in job
    assert transforms.output(name) == {}
    assert not held.parent.exists()
    wait_until(lambda: "told to end" in transforms.lines(name), "the container's last words are logged")
    assert refusal(lambda: transforms.sagemaker.stop_transform_job(TransformJobName=name)) == (
        "ValidationException: The request was rejected because the transform job is in status Stopped."
    )
