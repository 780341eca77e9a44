"""Asks an endpoint questions whose answers are known.

Owns the order of the steps: read and check the records, ask, put answers beside labels. How answers are read and judged
stands in ``prediction`` and ``smoke_test``; what follows from the report is decided by the caller. Knows nothing of
tasks or templates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import EndpointGoneError, EndpointSupersededError, RequestError, SmokeTestError
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.inference import InferenceHook
from sagemaker_byoc.known_record import KnownRecord, encode, read_csv, read_rows
from sagemaker_byoc.prediction import is_correct, read_predictions
from sagemaker_byoc.request import require_text
from sagemaker_byoc.smoke_test import Answer, Limits, SmokeTestReport

if TYPE_CHECKING:
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.inference import Reply

__all__ = ["PreparedSmokeTest", "SmokeTest"]

_MAXIMUM_BODY_BYTES = 6_291_456
"""Largest body of InvokeEndpoint. Source: the service model of sagemaker-runtime."""


@dataclass(frozen=True)
class SmokeTest:
    """What to ask an endpoint, and how.

    :param records: a path on the worker, an ``s3://`` URI, or the records themselves
    :param label_column: the column of the right answers
    :param limits: what the endpoint must reach
    :param content_type: of the requests
    :param accept: content type asked for in the answers
    :param warm_up_requests: requests before the measured ones
    :param batch_size: records per request
    :param target_variant: ask this variant instead of letting the weights choose
    :param invoke_config: further members of the InvokeEndpoint request
    """

    connection: AwsConnection
    endpoint_name: str
    records: str | Sequence[Any]
    label_column: str
    limits: Limits = field(default_factory=Limits)
    content_type: str = "text/csv"
    accept: str = "application/json"
    warm_up_requests: int = 1
    batch_size: int = 1
    target_variant: str | None = None
    invoke_config: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self) -> PreparedSmokeTest:
        """Read the records and check everything that can be checked without a request to the endpoint.

        :raises RequestError: what is not allowed
        """
        require_text(self.endpoint_name, "endpoint_name", "the name of an endpoint that is in service")
        batches = list(self._batches(self._read()))
        return PreparedSmokeTest(self, batches, [self._request(batch) for batch in batches])

    def _read(self) -> list[KnownRecord]:
        records = self._parse()
        if len(records) < self.limits.minimum_records:
            allowed = f"at least minimum_records={self.limits.minimum_records:g}"
            raise RequestError("records", f"{len(records)} records", allowed)
        return records

    def _parse(self) -> list[KnownRecord]:
        """Read the records; a template of a list arrives as its text."""
        given: Any = self.records
        if isinstance(given, str) and given.lstrip().startswith("["):
            try:
                given = json.loads(given)
            except ValueError as error:
                raise RequestError("records", given[:100], "JSON, when it begins with '['", str(error)) from error
        if isinstance(given, str) and given:
            return read_csv(InferenceHook(self.connection).read(given), self.label_column, source=given)
        if isinstance(given, Sequence) and not isinstance(given, str):
            return read_rows(given, self.label_column)
        raise RequestError("records", given, "a path, an s3:// URI or a list of dictionaries")

    def _batches(self, records: list[KnownRecord]) -> Iterator[list[KnownRecord]]:
        if self.batch_size < 1:
            raise RequestError("batch_size", self.batch_size, "1 or more")
        for start in range(0, len(records), self.batch_size):
            yield records[start : start + self.batch_size]

    def _request(self, batch: list[KnownRecord]) -> dict[str, Any]:
        body = encode(batch, self.content_type)
        if len(body) > _MAXIMUM_BODY_BYTES:
            given = f"{self.batch_size} records of {len(body)} bytes"
            raise RequestError("batch_size", given, f"requests of at most {_MAXIMUM_BODY_BYTES} bytes")
        sent = {
            **self.invoke_config,
            "EndpointName": self.endpoint_name,
            "ContentType": self.content_type,
            "Accept": self.accept,
            "Body": body,
            **({"TargetVariant": self.target_variant} if self.target_variant else {}),
        }
        return self.connection.conform("sagemaker-runtime", "InvokeEndpoint", sent, field="invoke_config")


@dataclass(frozen=True)
class PreparedSmokeTest:
    """A smoke test whose requests are made; it can be asked more than once.

    :param batches: the records of each request
    :param requests: checked InvokeEndpoint requests
    """

    test: SmokeTest
    batches: Sequence[Sequence[KnownRecord]]
    requests: Sequence[Mapping[str, Any]]

    def ask(self, endpoint_config_name: str | None = None) -> SmokeTestReport:
        """Send the requests and put the answers beside the labels.

        :param endpoint_config_name: the configuration that is tested; None tests whichever is live
        :raises EndpointSupersededError: the endpoint serves another configuration, or is being given one
        :raises EndpointGoneError: somebody deleted it
        :raises SmokeTestError: the endpoint does not answer, or in a way that cannot be read
        """
        hook = InferenceHook(self.test.connection)
        self._check_config(endpoint_config_name)
        try:
            for _ in range(self.test.warm_up_requests):
                hook.invoke(self.requests[0])
            replies = [hook.invoke(request) for request in self.requests]
        finally:
            # Before any verdict: what another model answers, or refuses, says nothing about this one.
            self._check_config(endpoint_config_name)
        answers: list[Answer] = []
        for batch, reply in zip(self.batches, replies, strict=True):
            answers += _compare(batch, reply, self.test.limits.tolerance, first=len(answers) + 1)
        times = [reply.milliseconds for reply in replies]
        return SmokeTestReport(self.test.endpoint_name, replies[-1].variant, answers, times, self.test.limits)

    def _check_config(self, wanted: str | None) -> None:
        """Refuse to judge a model by the answers of another."""
        if wanted is None:
            return
        name = self.test.endpoint_name
        look = EndpointHook(self.test.connection).look(name)
        if look is None or look.status == "Deleting":
            message = f"Endpoint {name} does not exist any more, so {wanted} is not served: somebody deleted it."
            raise EndpointGoneError(message)
        if look.target_config != wanted:
            message = (
                f"Endpoint {name} has, or is being given, {look.target_config} instead of {wanted}: another deployment "
                "came after this one, so that its answers say nothing about this model."
            )
            raise EndpointSupersededError(message)


def _compare(batch: Sequence[KnownRecord], reply: Reply, tolerance: float | None, *, first: int) -> list[Answer]:
    """Put answers beside labels.

    :raises SmokeTestError: the answers cannot be read, or there are more or fewer of them than records
    """
    predictions = read_predictions(reply.body, reply.content_type)
    if len(predictions) != len(batch):
        message = f"The endpoint answered {len(predictions)} predictions to {len(batch)} records: {reply.body[:200]!r}"
        raise SmokeTestError(message)
    return [
        Answer(record, known.label, prediction, is_correct(known.label, prediction, tolerance))
        for record, (known, prediction) in enumerate(zip(batch, predictions, strict=True), start=first)
    ]
