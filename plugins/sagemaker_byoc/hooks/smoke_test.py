"""Asks an endpoint questions whose answers are known.

Owns the order of the steps: read and check the records, ask each variant, put answers beside labels. How answers are
read and judged stands in ``prediction``, ``checker`` and ``smoke_test``; what follows from the report is decided by the
caller. Knows nothing of tasks or templates.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.checker import Checker, check, load_checker
from sagemaker_byoc.console import log_url
from sagemaker_byoc.endpoint_status import LOG_GROUP
from sagemaker_byoc.errors import EndpointGoneError, EndpointSupersededError, RequestError, SmokeTestError
from sagemaker_byoc.hooks.endpoint import EndpointHook
from sagemaker_byoc.hooks.inference import InferenceHook
from sagemaker_byoc.hooks.known_record import KnownRecordHook
from sagemaker_byoc.known_record import KnownRecord, encode
from sagemaker_byoc.limit import Limits, count
from sagemaker_byoc.prediction import is_correct, read_predictions
from sagemaker_byoc.request import require_text
from sagemaker_byoc.smoke_test import Answer, SmokeTestReport, VariantReport

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.inference import Reply
    from sagemaker_byoc.prediction import Prediction

__all__ = ["PreparedSmokeTest", "SmokeTest"]

_MAXIMUM_BODY_BYTES = 6_291_456
"""Largest body of InvokeEndpoint. Source: the service model of sagemaker-runtime."""


@dataclass(frozen=True)
class SmokeTest:
    """What to ask an endpoint, and how.

    :param records: a path on the worker, an ``s3://`` URI, the text of the records, or the records themselves
    :param label_column: the column of the right answers
    :param limits: what the endpoint must reach
    :param checker: import path of a function that judges the answers in place of the labels
    :param content_type: of the requests
    :param accept: content type asked for in the answers
    :param warm_up_requests: requests before the measured ones, to each variant
    :param batch_size: records per request
    :param repeats: how often each record is asked
    :param target_variants: ask each of these variants instead of letting the weights choose
    :param each_variant: ask each variant that the endpoint has when it is asked
    :param invoke_config: further members of the InvokeEndpoint request
    """

    connection: AwsConnection
    endpoint_name: str
    records: str | Sequence[Any]
    label_column: str
    limits: Limits = field(default_factory=Limits)
    checker: str | None = None
    content_type: str = "text/csv"
    accept: str = "application/json"
    warm_up_requests: int = 1
    batch_size: int = 1
    repeats: int = 1
    target_variants: Sequence[str] = ()
    each_variant: bool = False
    invoke_config: Mapping[str, Any] = field(default_factory=dict)

    def prepare(self) -> PreparedSmokeTest:
        """Read the records and check everything that can be checked without a request to the endpoint.

        :raises RequestError: what is not allowed
        """
        require_text(self.endpoint_name, "endpoint_name", "the name of an endpoint that is in service")
        count("repeats", self.repeats)
        if self.checker is not None and self.limits.tolerance is not None:
            raise RequestError("tolerance", self.limits.tolerance, "None beside a checker, which judges alone")
        checker = load_checker(self.checker) if self.checker is not None else None
        questions = list(self._questions(self._read()))
        hook = InferenceHook(self.connection)
        for variant in self.target_variants:
            hook.conform(questions[0].to(variant))
        return PreparedSmokeTest(self, questions, checker)

    def _read(self) -> list[KnownRecord]:
        records = KnownRecordHook(self.connection).read(self.records, self.label_column)
        if len(records) < self.limits.minimum_records:
            allowed = f"at least minimum_records={self.limits.minimum_records:g}"
            raise RequestError("records", f"{len(records)} records", allowed)
        return records

    def _questions(self, records: list[KnownRecord]) -> Iterator[_Question]:
        if self.batch_size < 1:
            raise RequestError("batch_size", self.batch_size, "1 or more")
        for start in range(0, len(records), self.batch_size):
            batch = records[start : start + self.batch_size]
            yield _Question(start + 1, batch, self._request(batch))

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
        }
        return InferenceHook(self.connection).conform(sent)


@dataclass(frozen=True)
class _Question:
    """One request and the records in it.

    :param first: position of its first record in the input, from 1
    :param request: a checked InvokeEndpoint request
    """

    first: int
    records: Sequence[KnownRecord]
    request: Mapping[str, Any]

    def to(self, variant: str | None) -> dict[str, Any]:
        """Return the request to a variant; None leaves the choice to the weights."""
        return {**self.request, **({"TargetVariant": variant} if variant else {})}

    def __str__(self) -> str:
        last = self.first + len(self.records) - 1
        return f"record {self.first}" if last == self.first else f"records {self.first} to {last}"


@dataclass(frozen=True)
class PreparedSmokeTest:
    """A smoke test whose requests are made; it can be asked more than once.

    :param questions: the requests, in the order of the records
    :param checker: judges the answers; None compares them with the labels
    """

    test: SmokeTest
    questions: Sequence[_Question]
    checker: Checker | None = None

    def ask(self, endpoint_config_name: str | None = None) -> SmokeTestReport:
        """Send the requests and put the answers beside the labels.

        What a variant does not answer, or not readably, is in its report; the next variant is asked all the same.

        :param endpoint_config_name: the configuration that is tested; None tests whichever is live
        :raises EndpointSupersededError: the endpoint serves another configuration, or is being given one
        :raises EndpointGoneError: somebody deleted it
        :raises RequestError: there is no such endpoint or variant
        :raises CheckerError: the checker failed
        """
        self._check_config(endpoint_config_name)
        try:
            asked = [self._ask(variant, endpoint_config_name) for variant in self._variants()]
        finally:
            # Before any verdict: what another model answers, or refuses, says nothing about this one.
            self._check_config(endpoint_config_name)
        return SmokeTestReport(self.test.endpoint_name, asked, self.test.limits, self.test.repeats)

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
        if look.live_config != wanted:
            message = f"Endpoint {name} is still being given {wanted}: until that is live, another model may answer."
            raise SmokeTestError(message)

    def _variants(self) -> Sequence[str | None]:
        """Name the variants to ask; None leaves the choice to the weights."""
        if not self.test.each_variant:
            return self.test.target_variants or [None]
        names = EndpointHook(self.test.connection).variant_names(self.test.endpoint_name)
        if not names:
            allowed = f"an endpoint in {self.test.connection.region} with variants to ask"
            raise RequestError("endpoint_name", self.test.endpoint_name, allowed)
        return names

    def _ask(self, target: str | None, config_name: str | None) -> VariantReport:
        """Ask one variant everything, up to the first thing that it does not answer readably."""
        hook, variant, failure = InferenceHook(self.test.connection), target, ""
        answers: list[Answer] = []
        times: list[float] = []
        for question, measured in self._schedule():
            try:
                reply = hook.invoke(question.to(target))
                if measured:
                    answers += self._compare(question, reply)
            except SmokeTestError as error:
                variant = target or self._only_variant(config_name)
                failure = f"{question}: {error}\nLog in the console: {self._log_url(variant)}"
                break
            if measured:
                times.append(reply.milliseconds)
            variant = target or reply.variant
        asked = sum(len(question.records) for question in self.questions)
        return VariantReport(variant, asked, _by_record(answers), times, self.test.limits, failure)

    def _schedule(self) -> Iterator[tuple[_Question, bool]]:
        """Yield each question as often as it is asked, and whether the answer counts."""
        for _ in range(self.test.warm_up_requests):
            yield self.questions[0], False
        for _ in range(self.test.repeats):
            for question in self.questions:
                yield question, True

    def _compare(self, question: _Question, reply: Reply) -> list[Answer]:
        """Put answers beside labels.

        :raises SmokeTestError: the answers cannot be read, or there are more or fewer of them than records
        """
        predictions = read_predictions(reply.body, reply.content_type)
        if len(predictions) != len(question.records):
            counts = f"{len(predictions)} predictions to {len(question.records)} records"
            raise SmokeTestError(f"The endpoint answered {counts}: {reply.body[:200]!r}")
        pairs = zip(question.records, predictions, strict=True)
        return [self._judge(record, *pair) for record, pair in enumerate(pairs, start=question.first)]

    def _judge(self, record: int, known: KnownRecord, prediction: Prediction) -> Answer:
        if self.checker is None:
            correct = is_correct(known.label, prediction, self.test.limits.tolerance)
            return Answer(record, known.label, prediction, correct)
        objection = check(self.checker, record, known, prediction)
        return Answer(record, known.label, prediction, objection is None, objection or "")

    def _only_variant(self, config_name: str | None) -> str | None:
        """Name the variant that must have failed, where there is only one; ask nothing that the test does not need."""
        names = EndpointHook(self.test.connection).variant_names(self.test.endpoint_name) if config_name else []
        return names[0] if len(names) == 1 else None

    def _log_url(self, variant: str | None) -> str:
        group = LOG_GROUP.format(self.test.endpoint_name)
        return log_url(self.test.connection.region, group, f"{variant}/" if variant else "")


def _by_record(answers: Sequence[Answer]) -> list[Answer]:
    """Bring the answers of all repeats together, in the order of the records."""
    found: dict[int, list[Answer]] = {}
    for answer in answers:
        found.setdefault(answer.record, []).append(answer)
    return [Answer.of_repeats(found[record]) for record in sorted(found)]
