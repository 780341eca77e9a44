"""AWS as a table of answers, put in at the last step before botocore would open a socket.

Everything on our side of the wire is real: the boto3 client, its request encoding and its answer parsing. Answers are
checked against botocore's output shapes, so that a test cannot make AWS say what it could never say.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.handlers
from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator

from sagemaker_byoc.hooks import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["AwsSays", "FakeAws", "fake_aws"]

Answer = dict[str, Any]
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "fake",
    "AWS_SECRET_ACCESS_KEY": "fake",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_MAX_ATTEMPTS": "1",
    # a call that nobody answers for dies here at once instead of reaching AWS
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


class AwsSays(Exception):
    """Raised by an answer function to make AWS refuse the call.

    :param code: AWS's error code
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(code, message)
        self.code, self.message, self.status, self.fields = code, message, status, fields


@dataclass
class FakeAws:
    """The answers, and what was asked.

    :param calls: operation and parameters of each call, in order
    """

    answers: dict[str, Callable[..., Answer]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def on(self, operation: str, answer: Callable[..., Answer] | Answer | AwsSays) -> None:
        """Answer an operation, with a function of its parameters, a fixed answer or a refusal.

        :param operation: AWS's name of it, for example ``DescribeTrainingJob``
        """

        def function(**_: Any) -> Answer:
            if isinstance(answer, AwsSays):
                raise answer
            assert isinstance(answer, dict)
            return answer

        self.answers[operation] = function if isinstance(answer, (dict, AwsSays)) else answer

    def asked(self, operation: str) -> list[dict[str, Any]]:
        """Return the parameters of each call of an operation."""
        return [parameters for name, parameters in self.calls if name == operation]

    def _note(self, params: dict[str, Any], model: Any, **_: Any) -> None:
        self.calls.append((model.name, dict(params)))

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, Answer]:
        name, parameters = self.calls[-1]
        if model.name not in self.answers:
            raise AssertionError(f"nobody said what {name} answers")
        try:
            answer = self.answers[model.name](**parameters)
        except AwsSays as no:
            error = {"Code": no.code, "Message": no.message}
            body = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": no.status}, **no.fields}
            return AWSResponse("", no.status, {}, None), body
        if model.output_shape is not None:
            report = ParamValidator().validate(answer, model.output_shape)
            assert not report.has_errors(), f"{name} never answers that: {report.generate_report()}"
        return AWSResponse("", 200, {}, None), {**answer, "ResponseMetadata": {"HTTPStatusCode": 200}}


@contextmanager
def fake_aws() -> Iterator[FakeAws]:
    """Put a table of answers behind every boto3 client that is made meanwhile; operators need ``aws_conn_id=None``."""
    aws = FakeAws()
    handlers = [
        *botocore.handlers.BUILTIN_HANDLERS,
        ("before-parameter-build", aws._note),
        ("before-call", aws._answer),
    ]
    with (
        mock.patch.dict(os.environ, ENVIRONMENT),
        mock.patch.object(botocore.handlers, "BUILTIN_HANDLERS", handlers),
        # clients of an earlier table must not be found again
        mock.patch.dict(connection._clients, clear=True),
    ):
        yield aws
