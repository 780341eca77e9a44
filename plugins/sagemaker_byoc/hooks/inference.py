"""Calls that ask an endpoint.

Owns the calls to SageMaker Runtime. Judges no answer. Knows nothing of tasks or templates.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError, SmokeTestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["InferenceHook", "Reply"]

_SHOWN_CHARACTERS = 2_000
_READ_TIMEOUT_SECONDS = 70
"""AWS gives a container 60 seconds and then says so; boto3 gives up after 60 as well, and should not be the first.
Source: InvokeEndpoint in the API reference, which advises 70."""


@dataclass(frozen=True)
class Reply:
    """An answer of an endpoint.

    :param variant: the variant that gave it
    :param milliseconds: from the request to the last byte, as the caller sees it
    """

    body: bytes
    content_type: str
    variant: str | None
    milliseconds: float


class InferenceHook:
    """Endpoints as their callers see them."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection
        patience = {"read_timeout": _READ_TIMEOUT_SECONDS, **(connection.botocore_config or {})}
        self._runtime = replace(connection, botocore_config=patience)

    def conform(self, request: Mapping[str, Any]) -> dict[str, Any]:
        """Return an InvokeEndpoint request as the API wants it, checked against botocore's model.

        :raises RequestError: what is not allowed
        """
        return self._runtime.conform("sagemaker-runtime", "InvokeEndpoint", request, field="invoke_config")

    def invoke(self, request: Mapping[str, Any]) -> Reply:
        """Send one InvokeEndpoint request.

        :raises RequestError: there is no such endpoint or variant
        :raises SmokeTestError: the container refused the request, failed, or took too long
        """
        from botocore.exceptions import ReadTimeoutError

        client = self._runtime.client("sagemaker-runtime")
        started = time.perf_counter()
        try:
            answer = client.invoke_endpoint(**request)
            body = answer["Body"].read()
        except client.exceptions.ModelError as error:
            raise _container_failed(request["EndpointName"], error.response) from error
        except ReadTimeoutError as error:
            seconds = client.meta.config.read_timeout
            message = f"{request['EndpointName']} did not answer within {seconds:g} s (read_timeout of botocore_config)"
            raise SmokeTestError(f"{message}.") from error
        except client.exceptions.ValidationError as error:
            given = " / ".join(filter(None, (request["EndpointName"], request.get("TargetVariant"))))
            allowed = f"an endpoint in {self._connection.region} that is in service"
            raise RequestError("endpoint_name", given, allowed, f"AWS says: {error}") from error
        milliseconds = (time.perf_counter() - started) * 1000
        return Reply(body, answer.get("ContentType", ""), answer.get("InvokedProductionVariant"), milliseconds)


def _container_failed(endpoint_name: str, answer: Mapping[str, Any]) -> SmokeTestError:
    """Tell what the container said, which AWS wraps in a ModelError."""
    said = str(answer.get("OriginalMessage") or answer["Error"].get("Message", ""))[:_SHOWN_CHARACTERS]
    status = answer.get("OriginalStatusCode", "no")
    log = answer.get("LogStreamArn")
    # AWS gives a container that took too long the status 0.
    did = f"answered with status {status}" if status != 0 else "did not answer"
    message = f"The container behind {endpoint_name} {did}: {said}"
    return SmokeTestError(f"{message}\nLog: {log}" if log else message)
