"""How much a transform job sends at a time: as the request says, or else the container, or else AWS's defaults.

Owns this order and the question to the container. Must not know how anything is sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import urllib3

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["TransformParameters", "ask_container", "batch_environment"]

_SINGLE, _MULTI = "SINGLE_RECORD", "MULTI_RECORD"
_STRATEGIES = {"SingleRecord": _SINGLE, "MultiRecord": _MULTI}
_DEFAULTS: dict[str, Any] = {"MaxConcurrentTransforms": 1, "BatchStrategy": _MULTI, "MaxPayloadInMB": 6}
"""The API reference has the numbers; the strategy was seen in logs of jobs that name none."""

_VARIABLES = {
    "MaxConcurrentTransforms": "SAGEMAKER_MAX_CONCURRENT_TRANSFORMS",
    "BatchStrategy": "SAGEMAKER_BATCH_STRATEGY",
    "MaxPayloadInMB": "SAGEMAKER_MAX_PAYLOAD_IN_MB",
}

_ANSWER_SECONDS = 2.0
"""How long a container may take for its advice. A guess: it is the time for a ping."""


@dataclass(frozen=True)
class TransformParameters:
    """How a job sends.

    :param parallel: requests under way at a time
    :param is_single: one record in each request; otherwise as many as fit
    :param payload_mb: most of one request
    """

    parallel: int
    is_single: bool
    payload_mb: int

    @classmethod
    def of(cls, request: Mapping[str, Any], advice: Mapping[str, Any]) -> TransformParameters:
        """Return what holds for a job.

        :param request: CreateTransformJob request
        :param advice: what the container answered, as far as it makes sense
        """
        chosen = {**_DEFAULTS, **_usable(advice), **_requested(request)}
        return cls(chosen["MaxConcurrentTransforms"], chosen["BatchStrategy"] == _SINGLE, int(chosen["MaxPayloadInMB"]))

    @property
    def payload_bytes(self) -> int:
        """Most bytes of one request."""
        return self.payload_mb * 1024 * 1024

    def __str__(self) -> str:
        strategy = _SINGLE if self.is_single else _MULTI
        return f"MaxConcurrentTransforms={self.parallel}, MaxPayloadInMB={self.payload_mb}, BatchStrategy={strategy}"


def batch_environment(request: Mapping[str, Any]) -> dict[str, str]:
    """Return the variables of a job's container.

    SageMaker's own tell what the request says and nothing else: what it leaves open is not passed (developer guide,
    "Custom Inference Code with Batch Transform").
    """
    requested = {_VARIABLES[member]: str(value) for member, value in _requested(request).items()}
    return {**request.get("Environment", {}), "SAGEMAKER_BATCH": "true", **requested}


def ask_container(address: tuple[str, int]) -> dict[str, Any]:
    """Return what ``GET /execution-parameters`` answers; nothing when the container has no such page.

    :param address: host and port of a healthy container
    """
    host, port = address
    try:
        with urllib3.HTTPConnectionPool(host, port, timeout=_ANSWER_SECONDS, retries=False) as pool:
            answer = pool.request("GET", "/execution-parameters", redirect=False)
        advice = json.loads(answer.data) if answer.status == 200 else {}
    except (urllib3.exceptions.HTTPError, OSError, ValueError, RecursionError):
        return {}
    return advice if isinstance(advice, dict) else {}


def _requested(request: Mapping[str, Any]) -> dict[str, Any]:
    """Return the request's members in the container's words; 0 transforms at a time say the same as none."""
    found = {member: request[member] for member in ("MaxConcurrentTransforms", "MaxPayloadInMB") if request.get(member)}
    if "BatchStrategy" in request:
        found["BatchStrategy"] = _STRATEGIES[request["BatchStrategy"]]
    return found


def _usable(advice: Mapping[str, Any]) -> dict[str, Any]:
    """Return the members that make sense. What AWS does about others is not known; here they are passed over."""
    numbers = {
        member: advice[member]
        for member in ("MaxConcurrentTransforms", "MaxPayloadInMB")
        if type(advice.get(member)) is int and advice[member] > 0
    }
    known = advice.get("BatchStrategy") in _STRATEGIES.values()
    return {**numbers, **({"BatchStrategy": advice["BatchStrategy"]} if known else {})}
