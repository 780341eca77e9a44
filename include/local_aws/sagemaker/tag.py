"""Tags of every SageMaker resource, by ARN.

Owns AddTags, ListTags and DeleteTags. Must not know what a resource is: whoever makes one says so here.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from local_aws.errors import validation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.service import Operation, Request, Response

__all__ = ["TagRegistry"]

_MOST_TAGS = 50
"""Tags of one resource; `TagList` in the service model."""


class TagRegistry:
    """The tags of all resources; safe to use from several threads."""

    def __init__(self) -> None:
        self._tags: dict[str, dict[str, str]] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {"AddTags": self._add_tags, "ListTags": self._list_tags, "DeleteTags": self._delete_tags}

    def close(self) -> None:
        """Nothing runs here."""

    def check(self, tags: Sequence[Mapping[str, str]]) -> None:
        """Refuse tags that no resource may have; call it before anything is made.

        :raises AwsError: for a repeated key, a key that begins with ``aws:``, or more than 50 tags
        """
        keys = [tag["Key"] for tag in tags]
        repeated = sorted({key for key in keys if keys.count(key) > 1})
        if repeated:
            # Wording not known from AWS.
            message = f"Duplicate tag keys found: {', '.join(repeated)}. Give every key once."
            raise validation(message)
        if any(key.lower().startswith("aws:") for key in keys):
            raise validation("aws: prefixed tag key names are not allowed for external use.")

    def register(self, arn: str, tags: Sequence[Mapping[str, str]] = ()) -> None:
        """Say that a resource exists, with the tags of its create request."""
        with self._lock:
            self._tags[arn] = {tag["Key"]: tag["Value"] for tag in tags}

    def forget(self, arn: str) -> None:
        """Say that a resource is gone. Harmless when it was never there."""
        with self._lock:
            self._tags.pop(arn, None)

    def of(self, arn: str) -> list[dict[str, str]]:
        """Return the tags of a resource in the form of the API; empty for one that does not exist."""
        with self._lock:
            return _as_list(self._tags.get(arn, {}))

    def _add_tags(self, request: Request) -> Response:
        self.check(request["Tags"])
        with self._lock:
            merged = {**self._existing(request["ResourceArn"]), **{tag["Key"]: tag["Value"] for tag in request["Tags"]}}
            if len(merged) > _MOST_TAGS:
                message = f"The resource would have {len(merged)} tags; at most {_MOST_TAGS} are allowed"
                raise validation(message)
            self._tags[request["ResourceArn"]] = merged
            return {"Tags": _as_list(merged)}

    def _list_tags(self, request: Request) -> Response:
        with self._lock:
            # One page holds them all: MaxResults is at least 50, and so are no more tags.
            return {"Tags": _as_list(self._existing(request["ResourceArn"]))}

    def _delete_tags(self, request: Request) -> Response:
        with self._lock:
            tags = self._existing(request["ResourceArn"])
            for key in request["TagKeys"]:
                tags.pop(key, None)
        return {}

    def _existing(self, arn: str) -> dict[str, str]:
        if arn not in self._tags:
            raise validation("Requested resource not found.")
        return self._tags[arn]


def _as_list(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]
