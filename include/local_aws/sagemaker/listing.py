"""What SageMaker's list operations have in common: filter, sort, cut into pages.

Owns the order of these steps, which is AWS's: with ``StatusEquals`` the page is cut first and filtered
afterwards, so a page can be short, or empty, while ``NextToken`` says that more follow.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Iterable, Sequence

    from local_aws.service import Request, Response

__all__ = ["Listing"]

_DEFAULT_PAGE = 10


@dataclass(frozen=True)
class Listing:
    """How one list operation reads its resources, which are describe answers as dictionaries.

    :param result: member of the answer that holds the summaries, for example ``TrainingJobSummaries``
    :param name: member that holds the resource's name
    :param members: members of a summary
    :param status: member that ``StatusEquals`` and ``SortBy=Status`` look at, if the operation has them
    :param descending: order when the request names none; newest first, as the operations' texts say
    """

    result: str
    name: str
    members: Sequence[str]
    status: str | None = None
    descending: bool = field(default=True, kw_only=True)

    def answer(self, request: Request, items: Iterable[dict[str, Any]]) -> Response:
        """Return one page of summaries and the token of the next.

        :raises AwsError: when ``NextToken`` is none that this operation gave
        """
        found = sorted(
            (item for item in items if self._passes(request, item)),
            key=lambda item: self._position(request, item),
            reverse=self._descends(request),
        )
        rest = self._after_token(request, found)
        size = request.get("MaxResults", _DEFAULT_PAGE)
        page = rest[:size]
        token = self._token(request, page[-1]) if len(rest) > size else None
        summaries = [self._summary(item) for item in page if self._has_status(request, item)]
        return {self.result: summaries, "NextToken": token}

    def _passes(self, request: Request, item: dict[str, Any]) -> bool:
        return (
            request.get("NameContains", "").lower() in item[self.name].lower()
            and _between(item.get("CreationTime"), request.get("CreationTimeAfter"), request.get("CreationTimeBefore"))
            and _between(
                item.get("LastModifiedTime"),
                request.get("LastModifiedTimeAfter"),
                request.get("LastModifiedTimeBefore"),
            )
        )

    def _has_status(self, request: Request, item: dict[str, Any]) -> bool:
        return self.status is None or request.get("StatusEquals") in {None, item[self.status]}

    def _descends(self, request: Request) -> bool:
        order = request.get("SortOrder")
        return self.descending if order is None else str(order) == "Descending"

    def _position(self, request: Request, item: dict[str, Any]) -> tuple[Any, str]:
        """Return what an item is sorted by; the name makes it unique, so that pages never overlap."""
        by = request.get("SortBy", "CreationTime")
        if by == "Name":
            return item[self.name], item[self.name]
        if by == "Status" and self.status:
            return item[self.status], item[self.name]
        return item["CreationTime"].timestamp(), item[self.name]

    def _summary(self, item: dict[str, Any]) -> dict[str, Any]:
        return {member: item[member] for member in self.members if item.get(member) is not None}

    def _token(self, request: Request, last: dict[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(self._position(request, last)).encode()).decode()

    def _after_token(self, request: Request, found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return what follows the last item of the page before, also when items came or went meanwhile."""
        if "NextToken" not in request:
            return found
        last = _read_token(request["NextToken"])
        try:
            if self._descends(request):
                return [item for item in found if self._position(request, item) < last]
            return [item for item in found if self._position(request, item) > last]
        except TypeError as error:
            raise _bad_token() from error


def _between(moment: dt.datetime | None, after: Any, before: Any) -> bool:
    if moment is None:
        return after is None and before is None
    return (after is None or moment > after) and (before is None or moment < before)


def _read_token(token: str) -> tuple[Any, str]:
    try:
        value, name = json.loads(base64.urlsafe_b64decode(token.encode()))
    except (ValueError, TypeError, RecursionError) as error:
        raise _bad_token() from error
    if not isinstance(name, str):
        raise _bad_token()
    return value, name


def _bad_token() -> Exception:
    # Wording not known from AWS.
    return validation("NextToken is none that this operation gave for these filters. Start again without it.")
