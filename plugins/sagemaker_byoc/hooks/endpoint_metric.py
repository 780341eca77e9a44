"""What CloudWatch has counted of an endpoint's variants.

Owns the names of the metrics and the call. What is too much is decided in ``traffic_shift``.
Source: "Amazon SageMaker AI metrics in Amazon CloudWatch", endpoint invocation metrics. The statistics listed there
are sums and counts, so that a percentile of the latency is not to be had.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.traffic_shift import Measured

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["EndpointMetricHook"]

_NAMESPACE = "AWS/SageMaker"
_PERIOD_SECONDS = 60
"""What SageMaker publishes by."""

_QUERIES = (
    ("Invocations", "Sum"),
    ("Invocation5XXErrors", "Sum"),
    ("Invocation4XXErrors", "Sum"),
    ("InvocationModelErrors", "Sum"),
    ("ModelLatency", "Sum"),
    ("ModelLatency", "SampleCount"),
)


class EndpointMetricHook:
    """Metrics of the endpoints of one connection."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def measured(self, endpoint_name: str, variants: Sequence[str], since: datetime, until: datetime) -> Measured:
        """Return what was counted of some variants together, in whole minutes.

        A request that the model answered with 4xx is the client's own failure. All else that is no success counts,
        time-outs and broken connections as well, which are in InvocationModelErrors alone.
        """
        sums = self._sums(endpoint_name, variants, _minute(since), _minute(until) + timedelta(minutes=1))
        total = dict(zip(_QUERIES, sums, strict=True))
        of_the_model = total["InvocationModelErrors", "Sum"] - total["Invocation4XXErrors", "Sum"]
        times = total["ModelLatency", "SampleCount"]
        return Measured(
            invocations=total["Invocations", "Sum"],
            errors=max(total["Invocation5XXErrors", "Sum"], of_the_model),
            latency_ms=total["ModelLatency", "Sum"] / times / 1000.0 if times else None,
        )

    def _sums(self, endpoint_name: str, variants: Sequence[str], since: datetime, until: datetime) -> list[float]:
        """Return the sum of each query's values over time and variants."""
        queries = [
            _query(f"q{number}_{place}", metric, statistic, endpoint_name, variant)
            for number, (metric, statistic) in enumerate(_QUERIES)
            for place, variant in enumerate(variants)
        ]
        pages = (
            self._connection.client("cloudwatch")
            .get_paginator("get_metric_data")
            .paginate(MetricDataQueries=queries, StartTime=since, EndTime=until)
        )
        sums = [0.0] * len(_QUERIES)
        for page in pages:
            for result in page["MetricDataResults"]:
                sums[int(result["Id"][1:].partition("_")[0])] += sum(result["Values"])
        return sums


def _query(name: str, metric: str, statistic: str, endpoint_name: str, variant: str) -> dict[str, Any]:
    dimensions = [{"Name": "EndpointName", "Value": endpoint_name}, {"Name": "VariantName", "Value": variant}]
    what = {"Namespace": _NAMESPACE, "MetricName": metric, "Dimensions": dimensions}
    return {"Id": name, "MetricStat": {"Metric": what, "Period": _PERIOD_SECONDS, "Stat": statistic}}


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
