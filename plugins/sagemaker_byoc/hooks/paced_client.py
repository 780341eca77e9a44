"""Calls to SageMaker one after the other, not faster than agreed.

Owns the pace, the pages and what an answer says about a thing that is gone. For work that has time and may need
thousands of calls: the account's limits are shared with runs that train and deploy.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.call_pace import CallBudget
from sagemaker_byoc.hooks.watched import PAGE_SIZE, answered_at
from sagemaker_byoc.retry import aws_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["PacedClient"]

JOB_PAGE_CALLS = 5
"""What a page of training jobs counts as: AWS allows two a second in the whole account, and the waits need them."""

BURST = 5

_GONE = ("Could not find", "not found")
"""What AWS's texts say of a thing that does not exist; the code is the same for other refusals."""
_GONE_CODES = ("ResourceNotFound", "ValidationException")


class PacedClient:
    """SageMaker of one connection.

    :param calls_per_second: in the long run
    """

    def __init__(self, connection: AwsConnection, calls_per_second: float) -> None:
        self._connection = connection
        self._budget = CallBudget(calls_per_second, BURST, time.monotonic)
        self.first_answer: datetime | None = None
        """When AWS answered the first list since somebody set this to None, by AWS's own clock."""

    def wait(self, calls: int = 1) -> None:
        """Wait for the turn of a call."""
        time.sleep(self._budget.wait_seconds())
        self._budget.spend(calls)

    def list(self, operation: str, member: str, **request: Any) -> list[dict[str, Any]]:
        """Return a list to the end of its last page.

        :param operation: its name in boto3
        :param member: of the answer, which holds the summaries
        """
        pages = self._connection.client("sagemaker").get_paginator(operation)
        pages = pages.paginate(**request, PaginationConfig={"PageSize": PAGE_SIZE})
        calls = JOB_PAGE_CALLS if operation == "list_training_jobs" else 1
        return [summary for page in self._paced(pages, calls) for summary in page[member]]

    def _paced(self, pages: Any, calls: int) -> Iterator[dict[str, Any]]:
        self.wait(calls)
        for page in pages:
            self.first_answer = self.first_answer or answered_at(page)
            yield page
            self.wait(calls if page.get("NextToken") else 0)

    def ask(self, operation: str, **request: Any) -> Any:
        """Return an answer; None when what the request names does not exist (any more)."""
        self.wait()
        client = self._connection.client("sagemaker")
        try:
            return getattr(client, operation)(**request)
        except client.exceptions.ClientError as error:
            if aws_code(error) in _GONE_CODES and any(text in str(error) for text in _GONE):
                return None
            raise

    def tags(self, arn: str) -> dict[str, str] | None:
        """Return the tags of something; None when it does not exist (any more)."""
        found: dict[str, str] = {}
        request = {"ResourceArn": arn}
        while True:
            answer = self.ask("list_tags", **request)
            if answer is None:
                return None
            found.update((tag["Key"], tag["Value"]) for tag in answer["Tags"])
            if not answer.get("NextToken"):
                return found
            request["NextToken"] = answer["NextToken"]
