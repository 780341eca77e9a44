"""Statuses of a training job and who may change them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_aws.errors import AwsError
from local_aws.sagemaker.job_end import StopRequestedError
from local_aws.sagemaker.training_state import TrainingState

_REQUEST: dict[str, Any] = {
    "TrainingJobName": "job",
    "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
    "OutputDataConfig": {"S3OutputPath": "s3://b/out"},
    "StoppingCondition": {},
}


def _state(seen: list[str] | None = None) -> TrainingState:
    changes = seen if seen is not None else []
    return TrainingState(_REQUEST, "arn", "s3://b/m", lambda state: changes.append(state.describe()["SecondaryStatus"]))


def test_every_change_is_announced_once_and_in_order() -> None:
    """The listener hears of each secondary status when it begins."""
    seen: list[str] = []
    state = _state(seen)
    for secondary in ("Training", "Uploading"):
        state.advance(secondary)
    state.end("Completed", "Completed")

    assert seen == ["Starting", "Training", "Uploading", "Completed"]


def test_transitions_touch_without_gaps() -> None:
    """One ends when the next begins, and only the end has no open one."""
    state = _state()
    state.advance("Pending", "waiting")
    state.advance("Downloading", "data")
    assert "EndTime" not in state.describe()["SecondaryStatusTransitions"][-1]
    state.end("Failed", "Failed", "why")

    steps = state.describe()["SecondaryStatusTransitions"]
    assert [step["EndTime"] for step in steps[:-1]] == [step["StartTime"] for step in steps[1:]]
    assert "EndTime" in steps[-1]


def test_a_stopped_job_goes_no_further_than_its_upload() -> None:
    """After a stop the run cannot fall back to an earlier status."""
    state = _state()
    state.request_stop()

    with pytest.raises(StopRequestedError):
        state.advance("Training")
    state.advance("Uploading")
    assert state.status == "Stopping"


def test_both_statuses_are_stopping_when_the_time_is_up() -> None:
    """A job that nobody stopped but its time limit is Stopping too, and a stop that comes then changes nothing."""
    seen: list[str] = []
    state = _state(seen)
    state.advance("Stopping")
    state.request_stop()

    assert (state.status, state.describe()["SecondaryStatus"]) == ("Stopping", "Stopping")
    assert seen == ["Starting", "Stopping"]
    state.end("Stopped", "MaxRuntimeExceeded")
    assert state.describe()["SecondaryStatus"] == "MaxRuntimeExceeded"


def test_a_second_stop_changes_nothing() -> None:
    """Stopping is entered once."""
    seen: list[str] = []
    state = _state(seen)
    state.request_stop()
    state.request_stop()

    assert seen == ["Starting", "Stopping"]


def test_a_stop_during_the_upload_ends_as_stopped() -> None:
    """Whoever's stop was accepted sees a stopped job."""
    state = _state()
    state.advance("Uploading")
    state.request_stop()
    state.end("Completed", "Completed")

    assert (state.status, state.describe()["SecondaryStatus"]) == ("Stopped", "Stopped")


@pytest.mark.parametrize("status", ["Completed", "Failed", "Stopped"])
def test_an_ended_job_refuses_a_stop(status: str) -> None:
    """The text is AWS's."""
    state = _state()
    state.end(status, status)

    with pytest.raises(AwsError, match=f"rejected because the training job is in status {status}"):
        state.request_stop()


def test_a_job_that_never_got_instances_bills_nothing() -> None:
    """Times are billed from the first download on."""
    state = _state()
    state.request_stop()
    state.end("Stopped", "Stopped")

    facts = state.describe()
    assert "TrainingEndTime" in facts
    assert {"TrainingStartTime", "BillableTimeInSeconds"} & set(facts) == set()


@given(st.text(min_size=1, max_size=3000))
def test_a_reason_never_has_more_characters_than_the_api_allows(reason: str) -> None:
    """FailureReason is cut to 1,024."""
    state = _state()
    state.end("Failed", "Failed", reason)

    assert state.describe()["FailureReason"] == reason[:1024]


def test_a_description_is_a_copy() -> None:
    """What a caller does with the answer does not change the job."""
    state = _state()
    state.describe()["SecondaryStatusTransitions"].clear()

    assert state.describe()["SecondaryStatusTransitions"]
