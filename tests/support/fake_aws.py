"""AWS as a table of answers, put in at the last step before botocore would open a socket.

Everything up to the wire is real: the boto3 client, its checks of parameters, its request encoding and its exceptions.
Answers are checked against botocore's output shapes, so that a test cannot make AWS say what it could never say.
"""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any
from unittest import mock

import botocore.handlers
import botocore.loaders
from botocore.awsrequest import AWSResponse
from botocore.validate import ParamValidator

from sagemaker_byoc.hooks import connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

__all__ = ["AwsSays", "FakeAws", "fake_aws"]

Answer = dict[str, Any]
LOADER = botocore.loaders.create_loader()
"""Shared by all tests, since reading SageMaker's model takes longer than most of them."""

ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": "fake",
    "AWS_SECRET_ACCESS_KEY": "fake",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_MAX_ATTEMPTS": "1",
    # a call that nobody answers for dies here at once instead of reaching AWS
    "HTTPS_PROXY": "http://127.0.0.1:9",
}


class AwsSays(Exception):  # noqa: N818 - reads as what happens: aws.on("StopBuild", AwsSays("Throttling"))
    """Raised by an answer function to make AWS refuse the call.

    :param code: AWS's error code
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: Any) -> None:
        super().__init__(code, message)
        self.code, self.message, self.status, self.fields = code, message, status, fields


@dataclass
class FakeAws:
    """The answers, and what was asked.

    :param calls: operation and parameters of each call as our code gave them, in order
    :param date: what AWS's clock shows, as a header of each answer; None leaves the header out
    """

    answers: dict[str, Callable[..., Answer]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    date: datetime | None = None
    _current: threading.local = field(default_factory=threading.local)

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
        self._current.call = model.name, dict(params)
        self.calls.append(self._current.call)

    def _answer(self, model: Any, **_: Any) -> tuple[AWSResponse, Answer]:
        name, parameters = self._current.call
        if model.name not in self.answers:
            raise AssertionError(f"nobody said what {name} answers")
        try:
            answer = self.answers[model.name](**parameters)
        except AwsSays as no:
            error = {"Code": no.code, "Message": no.message}
            body = {"Error": error, "ResponseMetadata": {"HTTPStatusCode": no.status}, **no.fields}
            return AWSResponse("", no.status, {}, None), body
        if model.output_shape is not None:
            problems = impossible(answer, model.output_shape)
            assert not problems, f"{name} never answers that: {problems}"
        headers = {"date": format_datetime(self.date, usegmt=True)} if self.date else {}
        metadata = {"HTTPStatusCode": 200, "HTTPHeaders": headers}
        return AWSResponse("", 200, {}, None), {**answer, "ResponseMetadata": metadata}


def impossible(answer: Answer, shape: Any) -> str:
    """Return what in the answer AWS could never say, empty when nothing.

    Lengths and ranges are let pass: the model bounds lists at one item that AWS sends empty.
    """
    report = ParamValidator().validate(answer, shape)
    problems = [
        f"{at or 'answer'}: {kind} {facts}"
        for kind, at, facts in report._errors
        if kind not in ("invalid length", "invalid range")
    ]
    return "; ".join(problems or unknown_words(answer, shape, "answer"))


def unknown_words(given: Any, shape: Any, at: str) -> Iterator[str]:
    """Yield the values that are not in their enum, such as a status that does not exist."""
    if shape.type_name == "structure":
        for name, value in given.items():
            yield from unknown_words(value, shape.members[name], f"{at}.{name}")
    elif shape.type_name == "list":
        for item in given:
            yield from unknown_words(item, shape.member, at)
    elif shape.type_name == "string" and shape.enum and given not in shape.enum:
        yield f"{at}: {given!r} is none of {shape.enum}"


@contextmanager
def fake_aws() -> Iterator[FakeAws]:
    """Put a table of answers behind every boto3 client that is made meanwhile; operators need ``aws_conn_id=None``."""
    aws = FakeAws()
    handlers = [
        *botocore.handlers.BUILTIN_HANDLERS,
        # the earliest event: after it botocore's own handlers add parameters that nobody asked for
        ("provide-client-params", aws._note),
        ("before-call", aws._answer),
    ]
    with (
        mock.patch.dict(os.environ, ENVIRONMENT),
        mock.patch.object(botocore.handlers, "BUILTIN_HANDLERS", handlers),
        mock.patch("botocore.session.create_loader", return_value=LOADER),
        # clients of an earlier table must not be found again
        mock.patch.dict(connection._clients, clear=True),
    ):
        yield aws
