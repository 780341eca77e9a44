"""Statuses of a transform job and who may change them."""

from __future__ import annotations

from typing import Any

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.job_end import StopRequestedError
from local_aws.sagemaker.transform_state import TransformState

_REQUEST: dict[str, Any] = {
    "TransformJobName": "job",
    "ModelName": "model",
    "TransformInput": {"DataSource": {}},
    "TransformOutput": {"S3OutputPath": "s3://b/out"},
    "Tags": [{"Key": "k", "Value": "v"}],
}


def _state(seen: list[str] | None = None) -> TransformState:
    changes = seen if seen is not None else []
    return TransformState(_REQUEST, "arn", lambda state: changes.append(state.status))


def test_every_status_is_announced_once_and_in_order() -> None:
    """The listener hears of the beginning too; what changes no status is no news."""
    seen: list[str] = []
    state = _state(seen)
    state.set_start()
    state.request_stop()
    state.request_stop()
    state.end("Stopped")

    assert seen == ["InProgress", "Stopping", "Stopped"]


def test_the_description_has_the_request_with_its_defaults() -> None:
    """Tags are asked for by another call."""
    facts = _state().describe()

    assert facts["TransformInput"] == {"DataSource": {}, "SplitType": "None", "CompressionType": "None"}
    assert facts["TransformOutput"] == {"S3OutputPath": "s3://b/out", "AssembleWith": "None", "KmsKeyId": ""}
    assert "Tags" not in facts


def test_output_of_a_stopped_job_is_not_kept() -> None:
    """Who uploads learns at the last moment that somebody stopped the job."""
    state = _state()
    state.request_stop()

    with pytest.raises(StopRequestedError):
        state.settle()


def test_a_stop_that_comes_when_the_output_is_kept_changes_nothing() -> None:
    """The job is as good as complete, so it ends as Completed; the end was when the output was there."""
    state = _state()
    state.settle()
    kept = state.describe()["TransformEndTime"]
    state.request_stop()
    assert not state.is_stop_requested

    state.end("Completed")

    assert state.status == "Completed"
    assert state.describe()["TransformEndTime"] == kept


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_an_ended_job_cannot_be_stopped(status: str) -> None:
    """The refusal says how it ended."""
    state = _state()
    state.end(status)

    with pytest.raises(AwsError, match=f"ValidationException: .*in status {status}"):
        state.request_stop()


def test_a_failed_job_says_why_within_the_limit_of_the_api() -> None:
    """FailureReason has 1,024 characters at most."""
    state = _state()
    state.end("Failed", "x" * 2000)

    assert state.describe()["FailureReason"] == "x" * 1024
    assert "TransformEndTime" in state.describe()
