"""Requests to the local AWS as bytes, past every check that an SDK makes, and the service models they are made from."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from functools import lru_cache
from typing import Any

import botocore.session

__all__ = ["TARGET_PREFIXES", "call", "post", "served_operations", "service_model"]

TARGET_PREFIXES = {"sagemaker": "SageMaker", "codebuild": "CodeBuild_20161006"}
"""Of the services of ours that speak AWS JSON; the prefix stands before the operation in ``X-Amz-Target``."""

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@lru_cache
def service_model(service: str) -> Any:
    """Return botocore's model of a service."""
    return botocore.session.get_session().get_service_model(service)


def post(endpoint_url: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, bytes]:
    """Return status and body of the answer, whatever the status is."""
    request = urllib.request.Request(endpoint_url + path, body, headers, method="POST")
    try:
        with _OPENER.open(request, timeout=20) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def call(endpoint_url: str, service: str, operation: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Return status and document of the answer of an operation in AWS JSON."""
    scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host"
    headers = {
        "X-Amz-Target": f"{TARGET_PREFIXES[service]}.{operation}",
        "Content-Type": "application/x-amz-json-1.1",
        "Authorization": f"{scope}, Signature=0",
    }
    status, answer = post(endpoint_url, "/", body, headers)
    return status, json.loads(answer) if answer else {}


def served_operations(endpoint_url: str) -> list[tuple[str, str]]:
    """Return the pairs of service and operation that the local AWS has; the others say that they are not there."""
    with _OPENER.open(f"{endpoint_url}/_local/health") as answer:
        services = set(json.loads(answer.read())["services"])
    return [
        (service, operation)
        for service in sorted(services & set(TARGET_PREFIXES))
        for operation in service_model(service).operation_names
        if call(endpoint_url, service, operation, b"[")[1].get("__type") != "UnknownOperationException"
    ]
