"""The one place that decides whether a failure is worth another try.

A retry of what is certain to fail again costs time, and after a new training job money too. Knows errors only.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import SageMakerByocError, TrainingJobFailedError, TransformJobError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CREDENTIAL_CODES", "aws_code", "fail_fast", "is_denied", "is_permanent", "is_throttled"]

PERMANENT_CODES = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ClientException",
        "InvalidInputException",
        "InvalidParameterException",
        "ModelError",
        "NoSuchBucket",
        "NoSuchKey",
        "RepositoryNotFoundException",
        "ResourceNotFound",
        "ResourceNotFoundException",
        "UnknownOperationException",
        "ValidationError",
        "ValidationException",
    }
)
"""Error codes that speak of the request, not of the moment. ResourceLimitExceeded is not among them: a quota is often
used up by jobs that end."""

PERMANENT_NAMES = frozenset(
    {
        "AirflowNotFoundException",
        "InvalidConfigError",
        "InvalidRegionError",
        "NoRegionError",
        "ParamValidationError",
        "ProfileNotFound",
    }
)
"""Errors of botocore and Airflow that speak of settings. Named, so that neither is imported to parse a DAG.
NoCredentialsError is not among them: where credentials come from the network, it passes."""

CREDENTIAL_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
"""Error codes that speak of the key a call was signed with. They pass: a key is rotated, or a connection corrected,
while a wait goes on, and ``AwsConnection`` then makes a new client."""


THROTTLING_CODES = frozenset(
    {
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "ThrottledException",
        "TooManyRequestsException",
    }
)
"""Error codes that ask for fewer calls, whichever call it was.
Source: botocore.retries.standard.ThrottledRetryableChecker."""


def is_denied(error: BaseException) -> bool:
    """Tell whether AWS says that the call is not allowed."""
    return aws_code(error) in ("AccessDenied", "AccessDeniedException")


def is_throttled(error: BaseException) -> bool:
    """Tell whether AWS asks for fewer calls."""
    return aws_code(error) in THROTTLING_CODES


def is_permanent(error: BaseException) -> bool:
    """Tell whether the same call would fail the same way again.

    Everything unknown counts as passing, so that a network fault never ends a chain that a retry would save.
    """
    if isinstance(error, (TrainingJobFailedError, TransformJobError)):
        return not error.transient
    if isinstance(error, SageMakerByocError):
        return error.permanent
    return aws_code(error) in PERMANENT_CODES or type(error).__name__ in PERMANENT_NAMES


def aws_code(error: BaseException) -> str:
    """Return the code of an AWS error answer, empty for any other error."""
    response: Any = getattr(error, "response", None)
    if not isinstance(response, dict):
        return ""
    return str(response.get("Error", {}).get("Code", ""))


@contextmanager
def fail_fast() -> Iterator[None]:
    """Turn a permanent failure into the one that Airflow does not retry; let every other one pass."""
    try:
        yield
    except Exception as error:
        if not is_permanent(error):
            raise
        from airflow.sdk.exceptions import AirflowFailException

        raise AirflowFailException(str(error)) from error
