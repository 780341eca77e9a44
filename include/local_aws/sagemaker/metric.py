"""Finds the metrics of a training job in what its containers print.

Owns MetricDefinitions, FinalMetricDataList and the CloudWatch metrics made from them. Must not know the job.
"""

from __future__ import annotations

import datetime as dt
import logging
import math
import threading
import time
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import regex

from local_aws.errors import validation

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.cloud import Cloud

__all__ = ["MetricWatch", "check_definitions"]

_logger = logging.getLogger(__name__)

_NAMESPACE = "/aws/sagemaker/TrainingJobs"
_MATCH_SECONDS = 0.5
_FLUSH_SECONDS = 2.0
_MOST_DATA = 500


def check_definitions(definitions: Sequence[Mapping[str, str]]) -> None:
    """Refuse definitions whose expression cannot be used.

    :raises AwsError: naming the metric and the fault; the wording is ours
    """
    for definition in definitions:
        try:
            groups = regex.compile(definition["Regex"]).groups
        except regex.error as error:
            message = f"Regex of the metric {definition['Name']!r} is no regular expression: {error}"
            raise validation(message) from error
        if groups < 1:
            message = (
                f"Regex of the metric {definition['Name']!r} has no capture group: {definition['Regex']!r}. "
                "Put the number in parentheses."
            )
            raise validation(message)


class MetricWatch:
    """Reads the lines of all hosts of one job; safe to use from several threads.

    :param cloud: where CloudWatch is
    :param job_name: becomes the dimension ``TrainingJobName``
    :param definitions: ``Name`` and ``Regex`` of each metric, already checked
    """

    def __init__(self, cloud: Cloud, job_name: str, definitions: Sequence[Mapping[str, str]]) -> None:
        self._cloud = cloud
        self._dimensions = [{"Name": "TrainingJobName", "Value": job_name}]
        self._patterns = [(item["Name"], regex.compile(item["Regex"])) for item in definitions]
        self._last: dict[str, dict[str, Any]] = {}
        self._unsent: list[dict[str, Any]] = []
        self._sent_at = time.monotonic()
        self._lock = threading.Lock()

    def feed(self, line: str) -> None:
        """Look for metrics in one line of output. The first group of an expression is the value."""
        for name, pattern in self._patterns:
            value = _first_number(pattern, line)
            if value is not None:
                self._note(name, value)

    def final(self) -> list[dict[str, Any]]:
        """Return the last value of every metric seen, in the form of FinalMetricDataList."""
        with self._lock:
            return [dict(datum) for datum in self._last.values()]

    def flush(self) -> None:
        """Send what CloudWatch does not have yet."""
        with self._lock:
            data, self._unsent = self._unsent, []
            self._sent_at = time.monotonic()
        if data:
            self._send(data)

    def _note(self, name: str, value: float) -> None:
        datum = {"MetricName": name, "Value": value, "Timestamp": dt.datetime.now(dt.timezone.utc)}
        with self._lock:
            self._last[name] = datum
            self._unsent.append({**datum, "Dimensions": self._dimensions})
            due = len(self._unsent) >= _MOST_DATA or time.monotonic() - self._sent_at > _FLUSH_SECONDS
        if due:
            self.flush()

    def _send(self, data: list[dict[str, Any]]) -> None:
        try:
            self._cloud.client("cloudwatch").put_metric_data(Namespace=_NAMESPACE, MetricData=data)
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            _logger.exception("CloudWatch did not take %d metric values", len(data))


def _first_number(pattern: Any, line: str) -> float | None:
    try:
        match = pattern.search(line, timeout=_MATCH_SECONDS)
        value = float(match[1]) if match else math.nan
    except (TimeoutError, ValueError, TypeError):
        return None
    # CloudWatch takes neither NaN nor infinity.
    return value if math.isfinite(value) else None
