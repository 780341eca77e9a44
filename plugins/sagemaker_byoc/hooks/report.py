"""Where the report of a smoke test is kept: in S3, beside the model that it is about.

Owns the object and how it is written. Knows nothing of what the report says.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.s3_location import S3Location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["ReportFile"]

_FIELD = "report_uri"


@dataclass(frozen=True)
class ReportFile:
    """One JSON object in S3."""

    connection: AwsConnection
    location: S3Location

    @classmethod
    def at(cls, connection: AwsConnection, uri: Any) -> ReportFile:
        """Check the URI of a report.

        :raises RequestError: it names no object in S3
        """
        location = S3Location.parse(uri, _FIELD)
        if location.key.endswith("/"):
            raise RequestError(_FIELD, uri, "the URI of an object", "It names a folder: put the file's name behind it.")
        return cls(connection, location)

    @property
    def uri(self) -> str:
        """The object's address."""
        return self.location.uri

    def write(self, report: Mapping[str, Any]) -> None:
        """Write the object, in the place of an earlier one.

        :raises RequestError: there is no such bucket, or it may not be written
        """
        client = self.connection.client("s3")
        body = json.dumps(report, indent=2, allow_nan=False).encode()
        place = {"Bucket": self.location.bucket, "Key": self.location.key}
        try:
            client.put_object(**place, Body=body, ContentType="application/json")
        except client.exceptions.ClientError as error:
            if error.response["Error"].get("Code") not in ("AccessDenied", "NoSuchBucket"):
                raise
            allowed = "an object in a bucket that exists and that this role may write to (s3:PutObject)"
            raise RequestError(_FIELD, self.uri, allowed, f"AWS says: {error}") from error
