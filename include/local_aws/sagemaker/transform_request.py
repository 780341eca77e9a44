"""Decides whether a CreateTransformJob request can be taken, before anything is made.

Owns the rules that the service model cannot express and the texts of their refusals. Where a comment says "guess", AWS
refuses too but its wording is not public.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from local_aws.errors import missing_here, quota_exceeded, validation
from local_aws.sagemaker.channel import require_objects
from local_aws.sagemaker.program_text import check_program_text
from local_aws.sagemaker.s3_location import read_location

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud

__all__ = ["check_request"]

_MOST_PAYLOAD_MB = 100
"""Of one request, and of all that are under way at a time (API reference, CreateTransformJob)."""
_MOST_INSTANCES = 20
"""The quota that training jobs have; more would be as many processes on this machine."""

_HEADER = re.compile(r"[ -~]*")
"""What every server reads in a header of HTTP: printable ASCII."""

_WHOLE = "$"
"""The JSONPath of a whole document, the default of both filters (API reference, DataProcessing)."""


def check_request(request: Mapping[str, Any], cloud: Cloud) -> None:
    """Refuse a request that AWS would refuse, or one that asks for what the local AWS does not have.

    :raises AwsError: ``ValidationException`` or ``ResourceLimitExceeded``
    """
    _check_parts(request)
    _check_payload(request)
    resources = request["TransformResources"]
    if resources["InstanceCount"] > _MOST_INSTANCES:
        quota = f"{resources['InstanceType']} for transform job usage"
        raise quota_exceeded(quota, _MOST_INSTANCES, resources["InstanceCount"])
    check_program_text("environment", request.get("Environment", {}).values())
    read_location(request["TransformOutput"]["S3OutputPath"], "transformOutput.s3OutputPath")
    _check_header("transformInput.contentType", request["TransformInput"].get("ContentType", ""))
    _check_header("transformOutput.accept", request["TransformOutput"].get("Accept", ""))
    _check_input(request["TransformInput"], cloud)


def _check_parts(request: Mapping[str, Any]) -> None:
    processing = request.get("DataProcessing", {})
    filters = {processing.get("InputFilter", _WHOLE), processing.get("OutputFilter", _WHOLE)}
    if filters != {_WHOLE} or processing.get("JoinSource", "None") != "None":
        raise missing_here("DataProcessing", "send and keep whole records")
    if "DataCaptureConfig" in request:
        raise missing_here("DataCaptureConfig", "leave it out")
    split = request["TransformInput"].get("SplitType", "None")
    if split not in {"None", "Line"}:
        what = f"SplitType {split}"
        raise missing_here(what, "use None or Line")


def _check_payload(request: Mapping[str, Any]) -> None:
    payload = request.get("MaxPayloadInMB")
    if payload is None:
        return
    if payload == 0:
        raise missing_here("MaxPayloadInMB 0, HTTP chunked encoding", f"use 1 to {_MOST_PAYLOAD_MB}")
    # 0 says the same as no value: the container is asked, or it is 1.
    parallel = request.get("MaxConcurrentTransforms") or 1
    if payload * parallel > _MOST_PAYLOAD_MB:
        # Guess; the limits are documented.
        message = (
            f"MaxPayloadInMB is {payload} and MaxConcurrentTransforms is {parallel}; their product must not exceed "
            f"{_MOST_PAYLOAD_MB}."
        )
        raise validation(message)


def _check_header(path: str, text: str) -> None:
    if not _HEADER.fullmatch(text):
        # That AWS refuses it is a guess.
        message = f"Value {text!a} at '{path}' failed to satisfy constraint: Member must have printable ASCII only"
        raise validation(message)


def _check_input(data: Mapping[str, Any], cloud: Cloud) -> None:
    source = data["DataSource"]["S3DataSource"]
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        # AugmentedManifestFile is refused by AWS too (API reference, TransformS3DataSource); the wording is a guess.
        message = (
            f"S3DataType {source['S3DataType']} is not supported for transform jobs; use S3Prefix or ManifestFile."
        )
        raise validation(message)
    # The wording is that of training jobs; that AWS looks before the job begins is a guess.
    require_objects(data, cloud, path="transformInput.dataSource.s3DataSource.s3Uri", role="of the model")
