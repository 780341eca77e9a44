"""What a training job's description means."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_byoc.training_job_status import TrainingJobLook, explain, mismatches

DESCRIPTION: dict[str, Any] = {
    "TrainingJobName": "iris-1",
    "TrainingJobStatus": "Completed",
    "SecondaryStatus": "Completed",
    "SecondaryStatusTransitions": [
        {"Status": "Starting", "StatusMessage": "Preparing"},
        {"Status": "Completed", "StatusMessage": "Training job completed"},
    ],
    "AlgorithmSpecification": {"TrainingImage": "image@sha256:1", "TrainingInputMode": "File"},
    "HyperParameters": {"epochs": "5"},
    "InputDataConfig": [{"ChannelName": "train", "CompressionType": "None", "RecordWrapperType": "None"}],
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
    "ModelArtifacts": {"S3ModelArtifacts": "s3://bucket/iris-1/output/model.tar.gz"},
    "FinalMetricDataList": [{"MetricName": "validation:accuracy", "Value": 0.9666666388511658}],
    "TrainingTimeInSeconds": 40,
    "BillableTimeInSeconds": 30,
}
REQUEST: dict[str, Any] = {
    "AlgorithmSpecification": {"TrainingImage": "image@sha256:1", "TrainingInputMode": "File"},
    "HyperParameters": {"epochs": "5"},
    "InputDataConfig": [{"ChannelName": "train"}],
    "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 5},
}


def test_a_description_becomes_a_small_result() -> None:
    """Downstream tasks get names, numbers and the artifact, and nothing that JSON does not hold."""
    assert TrainingJobLook.of(DESCRIPTION).result() == {
        "training_job_name": "iris-1",
        "model_artifacts": "s3://bucket/iris-1/output/model.tar.gz",
        "image_uri": "image@sha256:1",
        "metrics": {"validation:accuracy": 0.966667},
        "training_seconds": 40,
        "billable_seconds": 30,
    }


def test_a_job_that_has_just_begun_has_little_to_tell() -> None:
    """AWS leaves out what it does not know yet."""
    look = TrainingJobLook.of(
        {"TrainingJobName": "iris-1", "TrainingJobStatus": "InProgress", "SecondaryStatus": "Starting"}
    )
    assert not look.ended
    assert look.step == "Starting"
    assert look.result()["metrics"] == {}


@pytest.mark.parametrize(
    ("status", "ended"),
    [
        ("InProgress", False),
        ("Stopping", False),
        ("Deleting", False),
        ("Completed", True),
        ("Failed", True),
        ("Stopped", True),
    ],
)
def test_three_statuses_are_the_end(status: str, ended: bool) -> None:
    """Everything else can still change."""
    assert TrainingJobLook("iris-1", status, "").ended is ended


@pytest.mark.parametrize(
    ("reason", "fault"),
    [
        ("CapacityError: Unable to provision requested ML compute capacity.", True),
        ("InternalServerError: We encountered an internal error. Please try again.", True),
        ("AlgorithmError: InternalServerError in the user's code", False),
        ("ClientError: Data download failed", False),
        ("", False),
    ],
)
def test_a_fault_of_aws_is_told_from_one_of_the_user(reason: str, fault: bool) -> None:
    """Only the first word of the reason counts: the rest is the container's own text."""
    assert TrainingJobLook("iris-1", "Failed", "Failed", failure_reason=reason).is_platform_fault is fault


def test_the_story_of_a_failure_holds_everything() -> None:
    """Status, reason, last lines, links and what to do."""
    look = TrainingJobLook("iris-1", "Failed", "Failed", failure_reason="AlgorithmError: no label")
    story = explain(look, ["epoch=1", "KeyError: label"], {"Job": "https://job", "Log": "https://log"})
    for text in ("iris-1 ended Failed (Failed): AlgorithmError: no label", "    KeyError: label", "Job: https://job"):
        assert text in story
    assert "Log: https://log" in story
    assert "clear the task that created it" in story


def test_a_job_that_ran_out_of_time_says_so_without_a_reason() -> None:
    """AWS gives no FailureReason for a stopped job; the secondary status and its message stand in."""
    look = TrainingJobLook("iris-1", "Stopped", "MaxRuntimeExceeded", message="Training job runtime exceeded")
    story = explain(look, [], {})
    assert "Stopped (MaxRuntimeExceeded): Training job runtime exceeded" in story
    assert "it wrote nothing" in story


def test_the_same_request_matches_its_job() -> None:
    """Defaults that AWS adds to the description are no difference, and neither is what is empty."""
    assert mismatches(DESCRIPTION, REQUEST) == []
    assert mismatches(DESCRIPTION, {**REQUEST, "Environment": {}, "CheckpointConfig": {}}) == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (
            {"AlgorithmSpecification": {"TrainingImage": "image@sha256:2"}},
            "AlgorithmSpecification.TrainingImage: the job has 'image@sha256:1', the request 'image@sha256:2'",
        ),
        ({"HyperParameters": {"epochs": "6"}}, "HyperParameters.epochs: the job has '5', the request '6'"),
        (
            {"HyperParameters": {"epochs": "5", "rate": "1"}},
            "HyperParameters.rate: the job has None, the request '1'",
        ),
        ({"HyperParameters": {}}, "HyperParameters.epochs: the job has it, the request does not"),
        (
            {"InputDataConfig": [{"ChannelName": "other"}]},
            "InputDataConfig[0].ChannelName: the job has 'train', the request 'other'",
        ),
        ({"InputDataConfig": []}, "InputDataConfig: the job has channels, the request has none"),
        ({"InputDataConfig": [{"ChannelName": "train"}, {"ChannelName": "test"}]}, "InputDataConfig: the job has"),
        (
            {"ResourceConfig": {"InstanceCount": 2}},
            "ResourceConfig.InstanceCount: the job has 1, the request 2",
        ),
        ({"Environment": {"A": "b"}}, "Environment: the job has None, the request {'A': 'b'}"),
    ],
)
def test_each_difference_is_a_line(change: dict[str, Any], told: str) -> None:
    """The line names the member, what the job has and what is asked."""
    lines = mismatches(DESCRIPTION, {**REQUEST, **change})
    assert any(line.startswith(told) for line in lines), lines


def test_a_request_without_channels_is_not_a_job_with_channels() -> None:
    """What the request does not say counts too where AWS has no default."""
    request = {name: value for name, value in REQUEST.items() if name not in ("InputDataConfig", "HyperParameters")}
    assert len(mismatches(DESCRIPTION, request)) == 2
