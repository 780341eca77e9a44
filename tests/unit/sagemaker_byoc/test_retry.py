"""Which failures are worth another try."""

from __future__ import annotations

import pytest
from airflow.sdk.exceptions import AirflowFailException
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError

from sagemaker_byoc import errors
from sagemaker_byoc.retry import CREDENTIAL_CODES, fail_fast, is_permanent


def aws_error(code: str) -> ClientError:
    """Return AWS's refusal of a call."""
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "CreateTrainingJob")


PERMANENT = [
    errors.RequestError("config", 1, "an object"),
    errors.JobMismatchError("differs"),
    errors.TrainingJobFailedError("AlgorithmError"),
    errors.TrainingJobStoppedError("stopped"),
    errors.TransformJobError("AlgorithmError"),
    ParamValidationError(report="RoleArn"),
    *map(aws_error, ["ValidationException", "AccessDeniedException", "NoSuchBucket"]),
]
PASSING = [
    errors.TrainingJobFailedError("CapacityError", transient=True),
    errors.TransformJobError("InternalServerError", transient=True),
    errors.ImageBuildInterruptedError("CodeBuild failed"),
    EndpointConnectionError(endpoint_url="https://example.invalid"),
    ValueError("unknown"),
    *map(
        aws_error,
        ["ThrottlingException", "InternalFailure", "ServiceUnavailable", "ResourceLimitExceeded"],
    ),
    # a key that is being rotated while a wait goes on
    *map(aws_error, sorted(CREDENTIAL_CODES)),
]


@pytest.mark.parametrize("error", PERMANENT, ids=str)
def test_what_would_fail_again_fails_the_task_at_once(error: Exception) -> None:
    """Airflow gets the one exception that it does not retry, with the same words and the error as its cause."""
    assert is_permanent(error)
    with pytest.raises(AirflowFailException) as raised, fail_fast():
        raise error
    assert str(raised.value) == str(error)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize("error", PASSING, ids=str)
def test_what_may_succeed_later_is_left_to_airflows_retries(error: Exception) -> None:
    """The error goes through untouched."""
    assert not is_permanent(error)
    with pytest.raises(type(error)) as raised, fail_fast():
        raise error
    assert raised.value is error
