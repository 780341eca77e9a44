"""What a transform job's description means."""

from __future__ import annotations

from typing import Any

import pytest

from sagemaker_byoc.transform_job_status import TransformJobLook, explain


def look(status: str, **facts: Any) -> TransformJobLook:
    """Read a description with this status."""
    named = {"TransformJobName": "job-1", "TransformJobArn": "arn", "ModelName": "model-1"}
    return TransformJobLook.of({**named, "TransformJobStatus": status, **facts})


@pytest.mark.parametrize(
    ("status", "ended"),
    [("InProgress", False), ("Stopping", False), ("Completed", True), ("Failed", True), ("Stopped", True)],
)
def test_which_statuses_are_an_end(status: str, ended: bool) -> None:
    """One that is being stopped is still paid for."""
    assert look(status).ended is ended


@pytest.mark.parametrize(
    ("reason", "is_fault"),
    [("InternalServerError: We", True), ("CapacityError: no", True), ("AlgorithmError: 500", False), ("", False)],
)
def test_a_fault_of_the_platform_is_told_by_its_reason(reason: str, is_fault: bool) -> None:
    """Everything else would fail again."""
    assert look("Failed", FailureReason=reason).is_platform_fault is is_fault


def test_the_story_has_all_that_is_known() -> None:
    """Also where neither AWS nor the container said anything."""
    told = explain(look("Failed", FailureReason="AlgorithmError"), ["boom"], {"Job": "https://x"})
    for text in ("job-1 of model model-1 ended Failed: AlgorithmError", "    boom", "Job: https://x"):
        assert text in told
    silent = explain(look("Stopped"), [], {})
    assert "AWS gave no reason" in silent
    assert "(it wrote nothing)" in silent
