"""A held-out set: records that no model was trained on, and what a model's answers to them are worth.

Owns the set's digest, how it is cut into requests, and the metrics. Asks nobody. Knows neither Airflow nor AWS.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sagemaker_byoc.checker import check, load_checker
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.known_record import encode
from sagemaker_byoc.prediction import is_correct

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from sagemaker_byoc.checker import Checker
    from sagemaker_byoc.known_record import KnownRecord
    from sagemaker_byoc.prediction import Prediction

__all__ = ["ACCURACY", "MEAN_ABSOLUTE_ERROR", "METRICS", "PREFIX", "HeldOutSet", "is_held_out", "require_set"]

PREFIX = "held_out:"
"""How metrics begin that are measured on a held-out set, and not read off a training job."""

ACCURACY = f"{PREFIX}accuracy"
MEAN_ABSOLUTE_ERROR = f"{PREFIX}mean_absolute_error"
METRICS = (ACCURACY, MEAN_ABSOLUTE_ERROR)


@dataclass(frozen=True)
class HeldOutSet:
    """Records, and how an answer is judged.

    :param checker: import path of a function that judges the answers in place of the labels
    :param tolerance: for a regression, the largest difference that counts as right
    """

    records: Sequence[KnownRecord]
    checker: str | None = None
    tolerance: float | None = None

    def __post_init__(self) -> None:
        if self.tolerance is not None and self.tolerance < 0:
            raise RequestError("tolerance", self.tolerance, "0 or more, or None for exact answers")
        if self.checker is not None and self.tolerance is not None:
            raise RequestError("tolerance", self.tolerance, "None beside a checker, which judges alone")
        if not self.records:
            raise RequestError("records", "no record", "at least one record, or nothing for no held-out set")
        self._checker()

    @property
    def digest(self) -> str:
        """A hash over the records, their labels and the way they are judged: metrics of one digest can be compared.

        A checker counts by its name, so that one that is changed should get another.
        """
        told = {
            "records": [[list(record.features.items()), record.label] for record in self.records],
            "checker": self.checker,
            "tolerance": self.tolerance,
        }
        return f"sha256:{hashlib.sha256(json.dumps(told, default=str).encode()).hexdigest()}"

    def check_metrics(self, names: Iterable[str]) -> None:
        """Refuse criteria that no answer to this set can meet, and a set that no criterion asks for.

        :param names: of the metrics in all criteria
        :raises RequestError: see above
        """
        asked = [name for name in names if is_held_out(name)]
        if not asked:
            remedy = f"For example {{{ACCURACY!r}: 'maximize'}}. Without one, its answers would be paid for in vain."
            raise RequestError("held_out_criteria", {}, f"at least one of the metrics {', '.join(METRICS)}", remedy)
        for name in asked:
            if name not in METRICS:
                raise RequestError(f"criteria.{name}", name, f"one of the metrics {', '.join(METRICS)}")
        if MEAN_ABSOLUTE_ERROR in asked:
            for number, record in enumerate(self.records, start=1):
                if _number(record.label) is None:
                    given = f"record {number}: {record.label!r}"
                    raise RequestError("records", given, f"numbers as labels, since {MEAN_ABSOLUTE_ERROR} counts")

    def bodies(self, content_type: str, maximum_bytes: float) -> list[bytes]:
        """Return the set, without labels, as the fewest requests that cutting in halves gives.

        :param maximum_bytes: of one request
        :raises RequestError: a single record is larger, or the content type is none that can be written
        """
        return list(_cut(self.records, content_type, maximum_bytes))

    def measure(self, predictions: Sequence[Prediction]) -> dict[str, float]:
        """Return the metrics of a model: the error only where all labels and predictions are finite numbers.

        :param predictions: one for each record, in order
        :raises CheckerError: the checker failed
        """
        checker = self._checker()
        pairs = list(zip(self.records, predictions, strict=True))
        right = sum(self._is_right(checker, number, *pair) for number, pair in enumerate(pairs, start=1))
        errors = [_error(known.label, prediction) for known, prediction in pairs]
        numbers = [error for error in errors if error is not None]
        metrics = {ACCURACY: right / len(pairs)}
        return {**metrics, MEAN_ABSOLUTE_ERROR: sum(numbers) / len(pairs)} if len(numbers) == len(pairs) else metrics

    def _is_right(self, checker: Checker | None, number: int, known: KnownRecord, prediction: Prediction) -> bool:
        if checker is None:
            return is_correct(known.label, prediction, self.tolerance)
        return check(checker, number, known, prediction) is None

    def _checker(self) -> Checker | None:
        return load_checker(self.checker) if self.checker is not None else None


def is_held_out(metric: str) -> bool:
    """Say whether a metric is one of a held-out set."""
    return metric.startswith(PREFIX)


def require_set(names: Iterable[str]) -> None:
    """Refuse criteria that need a held-out set, where there is none.

    :param names: of the metrics in all criteria
    :raises RequestError: see above
    """
    for name in names:
        if is_held_out(name):
            remedy = "Give records, or put the criterion into held_out_criteria, which count only where there are some."
            raise RequestError(f"criteria.{name}", name, "a metric of the training jobs without a held-out set", remedy)


def _cut(records: Sequence[KnownRecord], content_type: str, maximum_bytes: float) -> Iterator[bytes]:
    body = encode(records, content_type)
    if len(body) <= maximum_bytes:
        yield body
    elif len(records) == 1:
        given = f"a record of {len(body)} bytes"
        raise RequestError("records", given, f"records of at most {maximum_bytes:g} bytes", "See MaxPayloadInMB.")
    else:
        middle = (len(records) + 1) // 2
        yield from _cut(records[:middle], content_type, maximum_bytes)
        yield from _cut(records[middle:], content_type, maximum_bytes)


def _error(label: str, prediction: Prediction) -> float | None:
    expected, given = _number(label), None if isinstance(prediction, bool) else _number(prediction)
    return None if expected is None or given is None else abs(expected - given)


def _number(given: str | float) -> float | None:
    try:
        value = float(given)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
