"""The answers AWS gives when it says no.

Owns the one exception that becomes an AWS error on the wire. Must not know HTTP servers or services.
"""

from __future__ import annotations

from typing import Any

__all__ = ["AwsError", "validation"]


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
