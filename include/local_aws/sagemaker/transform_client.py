"""Asks one container of a transform job for predictions.

Owns the request's headers, its time limit, what is tried again, and whom a failure is blamed on. Must not know objects
of S3, nor how payloads are cut.
"""

from __future__ import annotations

import http.client
from typing import TYPE_CHECKING, Any

from local_aws.exchange import exchange
from local_aws.sagemaker.transform_log import TransformLog, is_client_error

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping

__all__ = ["ALGORITHM_ERROR", "CLIENT_ERROR", "CancelledError", "NoPredictionError", "TransformClient"]

_DEFAULT_TIMEOUT_SECONDS = 600
_DEFAULT_RETRIES = 3
"""Both from the API reference, ModelClientConfig."""

CLIENT_ERROR = "ClientError: See job logs for more information"
ALGORITHM_ERROR = "AlgorithmError: See job logs for more information"
"""Both were seen as FailureReason; that the container's status decides between them is a guess."""


class NoPredictionError(Exception):
    """The container did not answer as it should; the text is the job's FailureReason."""


class CancelledError(Exception):
    """Nobody needs the answer any more."""


class TransformClient:
    """The way to one container.

    :param address: host and port at which it serves
    :param request: CreateTransformJob request
    :param log: told of every attempt that failed
    :param cancelled: set when the job is being stopped
    """

    def __init__(
        self, address: tuple[str, int], request: Mapping[str, Any], log: TransformLog, cancelled: threading.Event
    ) -> None:
        config = request.get("ModelClientConfig", {})
        self._address = address
        self._timeout_seconds = float(config.get("InvocationsTimeoutInSeconds", _DEFAULT_TIMEOUT_SECONDS))
        self._retries: int = config.get("InvocationsMaxRetries", _DEFAULT_RETRIES)
        headers = {
            "Content-Type": request["TransformInput"].get("ContentType"),
            "Accept": request["TransformOutput"].get("Accept"),
        }
        self._headers = {name: value for name, value in headers.items() if value}
        self._log = log
        self._cancelled = cancelled

    def ask(self, name: str, payload: bytes) -> bytes:
        """Return the body of the answer.

        :param name: of the object, for the log
        :raises NoPredictionError: when the container refuses, or fails at every attempt
        :raises CancelledError: when the job is being stopped
        """
        for _ in range(1 + self._retries):
            status, body = self._try(name, payload)
            if 200 <= status < 300:
                return body
            if is_client_error(status):
                # What AWS tries again is not public. The same request would get the same answer.
                raise NoPredictionError(CLIENT_ERROR)
        raise NoPredictionError(ALGORITHM_ERROR)

    def _try(self, name: str, payload: bytes) -> tuple[int, bytes]:
        """Send once and return status and body; status 0 when there was no answer."""
        self._refuse_when_cancelled()
        try:
            status, body, _ = exchange(self._address, payload, self._headers, timeout_seconds=self._timeout_seconds)
        except (http.client.HTTPException, OSError):
            self._refuse_when_cancelled()
            self._log.no_answer(name)
            return 0, b""
        if not 200 <= status < 300:
            self._log.bad_status(name, status, body)
        return status, body

    def _refuse_when_cancelled(self) -> None:
        if self._cancelled.is_set():
            raise CancelledError
