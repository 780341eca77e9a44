"""The answers AWS gives when it says no.

Owns the one exception that becomes an AWS error on the wire, and the words that services share. Must not know HTTP
servers or services.
"""

from __future__ import annotations

from typing import Any

__all__ = ["AwsError", "missing_here", "quota_exceeded", "validation"]


class AwsError(Exception):
    """An error that the client sees as ``botocore.exceptions.ClientError``.

    :param code: AWS's error code, for example ``ValidationException`` or ``ResourceInUse``
    :param message: the text, worded as AWS words it
    :param status: HTTP status code
    :param fields: further members of the error shape, for example ``OriginalStatusCode`` of ``ModelError``
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


def validation(message: str) -> AwsError:
    """Return the error with which most AWS services refuse a bad request."""
    return AwsError("ValidationException", message)


def missing_here(what: str, instead: str, where: str = "Request") -> AwsError:
    """Return the refusal of something that AWS has and the local AWS does not.

    :param instead: what to do
    """
    return validation(f"{where}: the local AWS does not have {what}; {instead}.")


def quota_exceeded(quota: str, most: int, asked: int) -> AwsError:
    """Return the refusal of more instances than an account may have.

    :param quota: for example ``ml.m5.large for endpoint usage``
    """
    message = (
        f"The account-level service limit '{quota}' is {most} Instances, with current utilization of 0 Instances and a "
        f"request delta of {asked} Instances. Please use AWS Service Quotas to request an increase for this quota."
    )
    return AwsError("ResourceLimitExceeded", message)
