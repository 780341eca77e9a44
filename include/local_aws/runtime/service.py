"""InvokeEndpoint.

Owns the choice of the endpoint and what a client is told when it cannot be invoked. Must not know how a container is
talked to.
"""

from __future__ import annotations

import functools
import time
from typing import TYPE_CHECKING

from local_aws.errors import AwsError
from local_aws.runtime.invocation import Invocation, invoke
from local_aws.runtime.metric import InvocationMetrics
from local_aws.sagemaker.fleet import FleetClosedError, NoInstanceError

if TYPE_CHECKING:
    from local_aws.sagemaker.deployment import Deployment
    from local_aws.sagemaker.endpoint import Endpoints
    from local_aws.sagemaker.instance import Instance
    from local_aws.service import Operation, Request, Response

__all__ = ["RuntimeService"]

_MISSING_HERE = ("TargetModel", "TargetContainerHostname", "InferenceComponentName", "EnableExplanations")


class RuntimeService:
    """SageMaker Runtime.

    :param endpoints: what can be invoked
    """

    service_name = "sagemaker-runtime"

    def __init__(self, endpoints: Endpoints) -> None:
        self._endpoints = endpoints
        self._cloud = endpoints.cloud
        self._metrics = InvocationMetrics(endpoints.cloud)
        self.operations: dict[str, Operation] = {"InvokeEndpoint": self._invoke}

    def start(self) -> None:
        """Nothing is left from an earlier life."""

    def close(self) -> None:
        """Send the last metrics."""
        self._metrics.close()

    def _invoke(self, request: Request) -> Response:
        began = time.perf_counter()
        name = request["EndpointName"]
        endpoint = self._find(name)
        _refuse_missing(request)
        try:
            with endpoint.lease(request.get("TargetVariant")) as lease:
                lease.mirror(functools.partial(self._copy, request))
                invocation = invoke(lease.instance.address, request)
        except FleetClosedError as error:
            raise self._not_found(name) from error
        except NoInstanceError as error:
            raise self._no_instance(request, error) from error
        overhead = time.perf_counter() - began - invocation.seconds
        self._metrics.count(
            name, lease.variant, status=invocation.status, model_seconds=invocation.seconds, overhead_seconds=overhead
        )
        return self._answer(name, lease.variant, invocation)

    def _copy(self, request: Request, variant: str, instance: Instance) -> None:
        """Send a request to a shadow variant; its answer is counted and dropped."""
        invocation = invoke(instance.address, request)
        self._metrics.count(
            request["EndpointName"],
            variant,
            status=invocation.status,
            model_seconds=invocation.seconds,
            overhead_seconds=0.0,
        )

    def _answer(self, name: str, variant: str, invocation: Invocation) -> Response:
        if not invocation.is_success:
            group_arn = self._cloud.arn("logs", f"log-group:/aws/sagemaker/Endpoints/{name}")
            raise invocation.error(name, self._cloud.region, self._cloud.account, group_arn)
        return {
            "Body": invocation.body,
            "ContentType": invocation.headers.get("Content-Type"),
            "CustomAttributes": invocation.headers.get("X-Amzn-SageMaker-Custom-Attributes"),
            "InvokedProductionVariant": variant,
        }

    def _find(self, name: str) -> Deployment:
        endpoint = self._endpoints.find(name)
        if endpoint is None:
            raise self._not_found(name)
        return endpoint

    def _not_found(self, name: str) -> AwsError:
        return AwsError("ValidationError", f"Endpoint {name} of account {self._cloud.account} not found.")

    def _no_instance(self, request: Request, error: NoInstanceError) -> AwsError:
        # Both wordings are guesses.
        endpoint = self._find(request["EndpointName"])
        wanted = request.get("TargetVariant")
        if wanted is not None and wanted not in {fleet.variant.name for fleet in endpoint.variants}:
            message = f"Variant {wanted} of endpoint {request['EndpointName']} not found: {error}"
            return AwsError("ValidationError", message)
        return AwsError("ServiceUnavailable", f"The request could not be served: {error}", 503)


def _refuse_missing(request: Request) -> None:
    for member in _MISSING_HERE:
        if member in request:
            message = f"{member} is given, but no endpoint of the local AWS can have what it selects: leave it out"
            raise AwsError("ValidationError", message)
