"""Counts invocations and brings the numbers to CloudWatch in the background.

Owns the names and units of the metrics. Must not know how an endpoint is invoked.
Source: "Monitor Amazon SageMaker with Amazon CloudWatch", endpoint invocation metrics.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import botocore.exceptions

if TYPE_CHECKING:
    from local_aws.cloud import Cloud

__all__ = ["InvocationMetrics"]

_NAMESPACE = "AWS/SageMaker"
_FLUSH_SECONDS = 1.0
_MOST_VALUES = 150
"""Different values in one datum (CloudWatch API reference, MetricDatum)."""
_MOST_DATA = 500

_logger = logging.getLogger(__name__)


class InvocationMetrics:
    """The metrics of all endpoints.

    :param cloud: where CloudWatch is
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._counts: dict[tuple[str, str, str, str], Counter[float]] = {}
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="invocation-metrics", daemon=True)
        self._thread.start()

    def count(self, endpoint: str, variant: str, *, status: int, model_seconds: float, overhead_seconds: float) -> None:
        """Note one invocation.

        :param status: of the container's answer; 0 when there was none
        """
        is_client_error = 400 <= status < 500
        is_server_error = not is_client_error and not 200 <= status < 300
        values = (
            ("Invocations", "None", 1.0),
            ("Invocation4XXErrors", "None", float(is_client_error)),
            ("Invocation5XXErrors", "None", float(is_server_error)),
            ("InvocationModelErrors", "None", float(is_client_error or is_server_error)),
            ("ModelLatency", "Microseconds", round(model_seconds * 1e6, -1)),
            ("OverheadLatency", "Microseconds", round(overhead_seconds * 1e6, -1)),
        )
        with self._lock:
            for name, unit, value in values:
                self._counts.setdefault((endpoint, variant, name, unit), Counter())[value] += 1

    def close(self) -> None:
        """Send what is left and end."""
        self._closed.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._closed.wait(_FLUSH_SECONDS):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with self._lock:
            counts, self._counts = self._counts, {}
        data = [datum for key, counter in counts.items() for datum in _data(key, counter)]
        try:
            for start in range(0, len(data), _MOST_DATA):
                self._cloud.client("cloudwatch").put_metric_data(
                    Namespace=_NAMESPACE, MetricData=data[start : start + _MOST_DATA]
                )
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            _logger.exception("%d metric values were lost", len(data))


def _data(key: tuple[str, str, str, str], counter: Counter[float]) -> list[dict[str, Any]]:
    endpoint, variant, name, unit = key
    values = list(counter.items())
    return [
        {
            "MetricName": name,
            "Unit": unit,
            "Dimensions": [{"Name": "EndpointName", "Value": endpoint}, {"Name": "VariantName", "Value": variant}],
            "Values": [value for value, _ in values[start : start + _MOST_VALUES]],
            "Counts": [float(number) for _, number in values[start : start + _MOST_VALUES]],
        }
        for start in range(0, len(values), _MOST_VALUES)
    ]
