"""Passes one request to a container and reads its answer as SageMaker does.

Owns headers, the time limit and the words about a container that does not answer well. Must not know how the
instance was chosen.
"""

from __future__ import annotations

import http.client
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.errors import AwsError
from local_aws.exchange import TooLargeError, exchange

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Invocation", "invoke"]

_TIMEOUT_SECONDS = 60.0
"""A container has 60 seconds (developer guide, "Custom Inference Code with Hosting Services")."""
_MOST_BODY_BYTES = 6_291_456
"""Largest body, of request and answer (service model)."""
_MOST_MESSAGE_CHARACTERS = 2048
"""Longest Message and OriginalMessage (service model)."""

_HEADERS = {
    "ContentType": "Content-Type",
    "Accept": "Accept",
    "CustomAttributes": "X-Amzn-SageMaker-Custom-Attributes",
    "TargetModel": "X-Amzn-SageMaker-Target-Model",
    "TargetVariant": "X-Amzn-SageMaker-Target-Variant",
    "InferenceId": "X-Amzn-SageMaker-Inference-Id",
    "EnableExplanations": "X-Amzn-SageMaker-Enable-Explanations",
    "SessionId": "X-Amzn-SageMaker-Session-Id",
}
_TIMED_OUT = (
    "Your invocation timed out while waiting for a response from container primary. Review the latency metrics for "
    "each container in Amazon CloudWatch, resolve the issue, and try again."
)
_NO_ANSWER = "The container primary closed the connection without an answer"
_TOO_LARGE = f"The answer of container primary has more than {_MOST_BODY_BYTES} bytes, the most that are allowed"


@dataclass(frozen=True)
class Invocation:
    """What came of one request.

    :param status: HTTP status of the container; 0 when it gave none
    :param seconds: time the container took
    """

    status: int
    body: bytes
    headers: Mapping[str, str]
    seconds: float

    @property
    def is_success(self) -> bool:
        """Whether the container answered with a 2xx status."""
        return 200 <= self.status < 300

    @property
    def is_client_error(self) -> bool:
        """Whether the container blames the request."""
        return 400 <= self.status < 500

    def error(self, endpoint_name: str, region: str, account: str, log_group_arn: str) -> AwsError:
        """Return the ModelError that a client sees.

        :param log_group_arn: of the endpoint's logs
        """
        kind = "client" if self.is_client_error else "server"
        original = self.body.decode(errors="replace")
        message = (
            f'Received {kind} error ({self.status}) from primary with message "{original}". See '
            f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:"
            f"group=/aws/sagemaker/Endpoints/{endpoint_name} in account {account} for more information."
        )
        return AwsError(
            "ModelError",
            message[:_MOST_MESSAGE_CHARACTERS],
            424,
            OriginalStatusCode=self.status,
            OriginalMessage=original[:_MOST_MESSAGE_CHARACTERS],
            LogStreamArn=log_group_arn,
        )


def invoke(
    address: tuple[str, int], request: Mapping[str, Any], *, timeout_seconds: float = _TIMEOUT_SECONDS
) -> Invocation:
    """Send a request to ``/invocations`` once and return whatever comes of it.

    A request is never sent again: the container may have acted on it before it failed.

    :param address: host and port of the container
    :param request: InvokeEndpoint's; every header that it does not have a member for stays behind
    :param timeout_seconds: from the connection to the last byte of the answer
    """
    headers = {header: request[member] for member, header in _HEADERS.items() if request.get(member)}
    began = time.perf_counter()
    try:
        status, body, answered = exchange(
            address, request["Body"], headers, timeout_seconds=timeout_seconds, most_bytes=_MOST_BODY_BYTES
        )
    except TimeoutError:
        status, body, answered = 0, _TIMED_OUT.encode(), {}
    except TooLargeError:
        status, body, answered = 500, _TOO_LARGE.encode(), {}
    except (http.client.HTTPException, OSError) as error:
        # What AWS says then is not known.
        status, body, answered = 500, f"{_NO_ANSWER} ({type(error).__name__})".encode(), {}
    return Invocation(status, body, answered, time.perf_counter() - began)
