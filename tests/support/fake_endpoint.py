"""One endpoint in the table of answers that stands for AWS."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from tests.support.fake_aws import AwsSays, FakeAws

__all__ = ["CONFIG_ARN", "MODEL_ARN", "FakeEndpoint"]

_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint/iris"
CONFIG_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:endpoint-config/some"
MODEL_ARN = "arn:aws:sagemaker:eu-west-1:123456789012:model/some"
_THEN = datetime(2026, 1, 1, tzinfo=timezone.utc)


class FakeEndpoint:
    """The endpoint ``iris``: looks at it follow a script, and changes move it at once.

    With ``settles``, a change is seen under way once, and through by the next look.
    """

    def __init__(self, aws: FakeAws) -> None:
        self._aws = aws
        self._states: list[dict[str, Any] | None] = [None]
        self._now: dict[str, Any] | None = None
        self._listed = False
        self.settles = False
        aws.on("ListEndpoints", self.list_endpoints)
        aws.on("DescribeEndpoint", self.describe)
        aws.on("CreateEndpoint", self.create)
        aws.on("UpdateEndpoint", self.update)
        aws.on("DeleteEndpoint", self.delete)
        aws.on("CreateEndpointConfig", {"EndpointConfigArn": CONFIG_ARN})
        aws.on("DescribeEndpointConfig", self.describe_config)
        aws.on("DescribeModel", self.describe_model)
        aws.on("AddTags", {"Tags": []})
        aws.on("ListTags", {"Tags": []})
        aws.on("ListEndpointConfigs", {"EndpointConfigs": []})
        aws.on("DeleteEndpointConfig", {})

    def exists(
        self,
        status: str,
        config: str,
        *,
        pending: str | None = None,
        reason: str = "",
        data_date: str = "",
        keep_tags: bool = False,
    ) -> None:
        """Put the endpoint into a state."""
        self._states = [_state(status, config, pending, reason)]
        if not keep_tags:
            self._aws.on("ListTags", {"Tags": [{"Key": "data_date", "Value": data_date}]})

    def goes_through(self, *states: tuple[str, str] | None, reason: str = "") -> None:
        """Show one state after another; the last one stays. None is an endpoint that is gone.

        Each list shows the next state, and so does each description that follows none.
        """
        self._states = [_state(*state, None, reason) if state else None for state in states]

    def describe(self, **_: Any) -> dict[str, Any]:
        """Answer DescribeEndpoint."""
        state = self._now if self._listed else self._next()
        self._listed = False
        if state is None:
            raise AwsSays("ValidationException", f'Could not find endpoint "{_ARN}".')
        return state

    def list_endpoints(self, **_: Any) -> dict[str, Any]:
        """Answer ListEndpoints."""
        state = self._next()
        self._listed = True
        members = ("EndpointName", "EndpointArn", "CreationTime", "LastModifiedTime", "EndpointStatus")
        return {"Endpoints": [{key: state[key] for key in members}] if state else []}

    def _next(self) -> dict[str, Any] | None:
        """Go on to the next state, if there is one, and return it."""
        self._now = self._states.pop(0) if len(self._states) > 1 else self._states[0]
        return self._now

    def describe_config(self, **request: Any) -> dict[str, Any]:
        """Answer DescribeEndpointConfig."""
        return {
            "EndpointConfigName": request["EndpointConfigName"],
            "EndpointConfigArn": CONFIG_ARN,
            "ProductionVariants": [
                {"VariantName": "AllTraffic", "ModelName": f"{request['EndpointConfigName']}-model"}
            ],
            "CreationTime": _THEN,
        }

    def describe_model(self, **request: Any) -> dict[str, Any]:
        """Answer DescribeModel."""
        container = {"Image": "registry/image@sha256:1", "Environment": {}}
        return {
            "ModelName": request["ModelName"],
            "ModelArn": MODEL_ARN,
            "PrimaryContainer": container,
            "ExecutionRoleArn": "arn:aws:iam::123456789012:role/serving",
            "EnableNetworkIsolation": False,
            "CreationTime": _THEN,
        }

    def create(self, **request: Any) -> dict[str, Any]:
        """Answer CreateEndpoint."""
        self._states = [_state("Creating", request["EndpointConfigName"], None, ""), *self._settled(request)]
        return {"EndpointArn": _ARN}

    def update(self, **request: Any) -> dict[str, Any]:
        """Answer UpdateEndpoint."""
        live = self._states[-1]
        assert live is not None
        pending = request["EndpointConfigName"]
        self._states = [_state("Updating", live["EndpointConfigName"], pending, ""), *self._settled(request)]
        return {"EndpointArn": _ARN}

    def _settled(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        return [_state("InService", request["EndpointConfigName"], None, "")] if self.settles else []

    def delete(self, **_: Any) -> dict[str, Any]:
        """Answer DeleteEndpoint; the endpoint is there for one more look."""
        live = self._states[-1]
        assert live is not None
        self._states = [{**live, "EndpointStatus": "Deleting"}, None]
        return {}


def _state(status: str, config: str, pending: str | None, reason: str) -> dict[str, Any]:
    state: dict[str, Any] = {
        "EndpointName": "iris",
        "EndpointArn": _ARN,
        "EndpointConfigName": config,
        "EndpointStatus": status,
        "CreationTime": _THEN,
        "LastModifiedTime": _THEN,
    }
    if pending:
        state["PendingDeploymentSummary"] = {"EndpointConfigName": pending}
    if reason:
        state["FailureReason"] = reason
    return state
