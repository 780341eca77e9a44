"""An AWS that denies some calls of a session and answers all others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.handlers
from botocore.awsrequest import AWSResponse

from sagemaker_byoc.hooks import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["denied"]


@contextmanager
def denied(*operations: str) -> Iterator[None]:
    """Let AWS deny these calls of operators until the block ends; the request does not leave the process."""

    def answer(model: Any, **_: Any) -> tuple[AWSResponse, dict[str, Any]] | None:
        if model.name not in operations:
            return None
        error = {"Code": "AccessDeniedException", "Message": f"User is not authorized to perform: {model.name}"}
        body = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": 400}}
        return AWSResponse("", 400, {}, None), body

    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-call", answer)]
    with (
        mock.patch.object(botocore.handlers, "BUILTIN_HANDLERS", handlers),
        # Clients that were made before would not be denied anything.
        mock.patch.dict(connection._clients, clear=True),
    ):
        yield
