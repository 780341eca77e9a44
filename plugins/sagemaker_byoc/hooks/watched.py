"""What a resource has to offer so that many waits can share the calls about it.

Owns the form alone. The two hooks that fulfil it know their resource; who waits for what is not known here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.state_change import Kind

__all__ = ["PAGE_SIZE", "Page", "Watched", "answered_at"]

Seen = TypeVar("Seen")

PAGE_SIZE = 100
"""The most that ListTrainingJobs and ListEndpoints put on a page, by botocore's model."""


@dataclass(frozen=True)
class Page(Generic[Seen]):
    """A page of what has changed.

    :param looks: by name; what a list tells is less than what a look does
    :param next_token: leads to the next page, None on the last. A page may be empty and yet not be the last one
    :param answered_at: by AWS's own clock
    """

    looks: Mapping[str, Seen]
    next_token: str | None
    answered_at: datetime


class Watched(Protocol[Seen]):
    """One kind of resource of one connection. Both calls block."""

    KIND: Kind
    """By which events know it."""

    LIST_ACTION: str
    """What IAM calls the right to list."""

    def __init__(self, connection: AwsConnection) -> None:
        """Make no call yet."""

    def page_of_changes(self, since: datetime, token: str | None) -> Page[Seen]:
        """List what was modified after a time, one page of it."""

    def look(self, name: str, /) -> Seen:
        """Describe one resource."""

    def is_changing(self, seen: Seen, /) -> bool:
        """Say whether it will change by itself, so that there is nothing to decide yet."""


def answered_at(answer: Mapping[str, Any]) -> datetime:
    """Return when AWS answered, by the Date header; by our clock when there is none.

    AWS compares times of its own, so that a clock that is wrong here must not decide what is asked for.
    """
    date = answer["ResponseMetadata"].get("HTTPHeaders", {}).get("date")
    return parsedate_to_datetime(date) if date else datetime.now(timezone.utc)
