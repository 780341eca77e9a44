"""An endpoint whose traffic can be shifted, in the table of answers that stands for AWS."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

from tests.support.fake_aws import AwsSays, FakeAws
from tests.support.fake_endpoint import CONFIG_ARN, MODEL_ARN

__all__ = ["DEPLOYED", "REPLACED", "FakeCandidate"]

REPLACED = {
    "endpoint_name": "iris",
    "endpoint_config_name": "both",
    "previous_endpoint_config_name": "old",
    "operation": "update",
    "restore_point": {"config": {"EndpointConfigName": "old", "ProductionVariants": []}, "models": []},
}
"""What CreateEndpointOperator returns of a deployment without a candidate."""

DEPLOYED = {
    **REPLACED,
    "candidate": {
        "variants": {"AllTraffic": "AllTraffic-candidate"},
        "live": {"AllTraffic": 1.0},
        "final_config": {
            "EndpointConfigName": "final",
            "ProductionVariants": [{"VariantName": "AllTraffic", "ModelName": "new-m"}],
            "Tags": [{"Key": "endpoint", "Value": "iris"}],
        },
        "update": {"EndpointName": "iris", "EndpointConfigName": "final"},
    },
}
"""What it returns of a candidate ``both`` beside ``old``, which is ``final`` in the end."""

_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/iris"
_THEN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class FakeCandidate:
    """The endpoint ``iris`` with the configuration ``old``: each look at it takes ten seconds, changes are quick.

    :ivar live: the configuration that it serves; None when it is gone
    :ivar configs: variants by the name of their configuration
    :ivar tags: of all configurations, by key
    :ivar metrics: sums that CloudWatch tells of a metric, by the weight that the candidate has in percent
    :ivar refuses: configurations to which AWS takes an update back
    :ivar late: so many looks after an update AWS answers with the state from before it
    :ivar update_looks: so many looks see an update under way
    :ivar heals: an update brings an endpoint that does not serve into service
    :ivar tagged: the configurations that AddTags was told, in order
    """

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        self.live: str | None = "old"
        self.status = "InService"
        self.configs: dict[str, list[dict[str, Any]]] = {"old": [{"VariantName": "AllTraffic", "ModelName": "old-m"}]}
        self.members: dict[str, Any] = {}
        self.weights: dict[str, float] = {"AllTraffic": 1.0}
        self.tags: dict[str, str] = {}
        self.metrics: dict[int, dict[str, float]] = {}
        self.refuses: set[str] = set()
        self.late = 0
        self.update_looks = 1
        self.heals = False
        self.tagged: list[str] = []
        self._pending: str | None = None
        self._unseen = self._looks_left = 0
        self._modified = aws.date = _THEN
        for operation in ("DescribeEndpoint", "UpdateEndpoint", "UpdateEndpointWeightsAndCapacities"):
            aws.on(operation, getattr(self, f"_{operation}"))
        for operation in ("CreateEndpointConfig", "DescribeEndpointConfig", "AddTags", "ListTags", "GetMetricData"):
            aws.on(operation, getattr(self, f"_{operation}"))
        aws.on("DescribeModel", self._describe_model)
        aws.on("ListEndpointConfigs", {"EndpointConfigs": []})

    def serves(self, config: str | None, weights: dict[str, float] | None = None) -> None:
        """Put the endpoint into a state."""
        self.live, self.weights = config, dict(weights or {"AllTraffic": 1.0})

    @property
    def share(self) -> int:
        """The candidate's share of the traffic in percent."""
        mine = sum(weight for name, weight in self.weights.items() if "candidate" in name)
        return round(100 * mine / sum(self.weights.values()))

    def _DescribeEndpoint(self, **_: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        assert self._aws.date is not None
        self._aws.date += timedelta(seconds=10)
        if self.live is None:
            raise AwsSays("ValidationException", f'Could not find endpoint "{_ARN}".')
        pending = self._pending if not self._unseen else None
        self._unseen = max(0, self._unseen - 1)
        answer = {
            "EndpointName": "iris",
            "EndpointArn": _ARN,
            "EndpointConfigName": self.live,
            "EndpointStatus": "Updating" if pending else self.status,
            "CreationTime": _THEN,
            "LastModifiedTime": self._modified,
            "ProductionVariants": [
                {"VariantName": name, "CurrentWeight": weight, "DesiredInstanceCount": 2, "CurrentInstanceCount": 2}
                for name, weight in self.weights.items()
            ],
        }
        if pending:
            answer["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
            self._looks_left -= 1
            if not self._looks_left:
                self._settle(pending)
        return answer

    def _settle(self, config: str) -> None:
        self._pending, self._modified = None, self._aws.date or _THEN
        if self.heals:
            self.status = "InService"
        if config not in self.refuses:
            variants = self.configs.get(config, [{"VariantName": "AllTraffic"}])
            self.serves(config, {each["VariantName"]: each.get("InitialVariantWeight", 1.0) for each in variants})

    def _UpdateEndpoint(self, **request: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        self._pending, self._unseen, self._looks_left = request["EndpointConfigName"], self.late, self.update_looks
        return {"EndpointArn": _ARN}

    def _UpdateEndpointWeightsAndCapacities(self, **request: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        self.weights |= {each["VariantName"]: each["DesiredWeight"] for each in request["DesiredWeightsAndCapacities"]}
        self._modified = self._aws.date or _THEN
        return {"EndpointArn": _ARN}

    def _CreateEndpointConfig(self, **request: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        self.configs[request["EndpointConfigName"]] = request["ProductionVariants"]
        self.tags = {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        return {"EndpointConfigArn": CONFIG_ARN}

    def _DescribeEndpointConfig(self, **request: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        name = request["EndpointConfigName"]
        if name not in self.configs:
            raise AwsSays("ValidationException", 'Could not find endpoint configuration "arn:…".')
        arn = f"{CONFIG_ARN.rpartition('/')[0]}/{name}"
        facts = {"EndpointConfigName": name, "EndpointConfigArn": arn, "CreationTime": _THEN}
        return {**facts, "ProductionVariants": self.configs[name], **self.members}

    def _AddTags(self, **request: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        self.tags |= {tag["Key"]: tag["Value"] for tag in request["Tags"]}
        self.tagged.append(request["ResourceArn"].rpartition("/")[2])
        return {"Tags": request["Tags"]}

    def _ListTags(self, **_: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        return {"Tags": [{"Key": key, "Value": value} for key, value in self.tags.items()]}

    def _describe_model(self, **request: Any) -> dict[str, Any]:
        return {
            "ModelName": request["ModelName"],
            "ModelArn": MODEL_ARN,
            "PrimaryContainer": {"Image": "registry/image@sha256:1"},
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/serving",
            "CreationTime": _THEN,
        }

    def _GetMetricData(self, **request: Any) -> dict[str, Any]:  # noqa: N802 - AWS's name
        values = self.metrics.get(self.share, {})
        results = []
        for query in request["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]["MetricName"]
            if query["MetricStat"]["Stat"] == "SampleCount":
                metric = "Invocations"
            results.append({"Id": query["Id"], "Values": [values[metric]] if metric in values else []})
        return {"MetricDataResults": results}
