"""Decides whether a CreateTrainingJob request can be taken, before anything is made.

Owns the rules that the service model cannot express and the texts of their refusals. Where a comment says
"guess", AWS refuses too but its wording is not public.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from local_aws.container import ContainerError
from local_aws.errors import missing_here, quota_exceeded, validation
from local_aws.sagemaker.channel import require_objects
from local_aws.sagemaker.cluster import Cluster
from local_aws.sagemaker.metric import check_definitions
from local_aws.sagemaker.ml_directory import ML_ROOT
from local_aws.sagemaker.program_text import check_program_text
from local_aws.sagemaker.role import check_role
from local_aws.sagemaker.s3_location import read_location
from local_aws.sagemaker.training_config import channel_mode, checkpoint_path

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.container import Engine

__all__ = ["DEFAULT_MAX_RUNTIME_SECONDS", "check_request"]

DEFAULT_MAX_RUNTIME_SECONDS = 86_400
"""One day (API reference, StoppingCondition)."""

_LONGEST_RUNTIME_SECONDS = 28 * 86_400
_MOST_INSTANCES = 20
"""AWS's default quota of instances in one training job; more would be as many processes on this machine."""

_ECR_IMAGE = re.compile(r"\d{12}\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(\.cn)?/.+")
_BAD_IMAGE = (
    "Invalid training image. Please provide a valid Amazon Elastic Container Registry path of the Docker image to run."
)


def check_request(request: Mapping[str, Any], cloud: Cloud, engine: Engine) -> None:
    """Refuse a request that AWS would refuse, or one that asks for what the local AWS does not have.

    :raises AwsError: ``ValidationException`` or ``ResourceLimitExceeded``
    """
    _check_parts(request)
    _check_resources(request["ResourceConfig"])
    _check_stopping(request)
    _check_algorithm(request["AlgorithmSpecification"], engine)
    check_program_text("environment", request.get("Environment", {}).values())
    _check_checkpoints(request, cloud)
    read_location(request["OutputDataConfig"]["S3OutputPath"], "outputDataConfig.s3OutputPath")
    check_role(request["RoleArn"], cloud)
    _check_channels(request, cloud)


def _check_parts(request: Mapping[str, Any]) -> None:
    if "ServerlessJobConfig" in request:
        raise missing_here("ServerlessJobConfig", "leave it out and give AlgorithmSpecification and ResourceConfig")
    for member in ("AlgorithmSpecification", "ResourceConfig", "StoppingCondition"):
        if member not in request:
            # Optional in the model only for serverless jobs. Guess.
            message = f"{member} is required for a training job without ServerlessJobConfig."
            raise validation(message)


def _check_resources(resources: Mapping[str, Any]) -> None:
    groups = resources.get("InstanceGroups")
    single = [member for member in ("InstanceType", "InstanceCount") if member in resources]
    if groups and single:
        raise validation("InstanceType or InstanceCount cannot be specified with InstanceGroups")
    if not groups and len(single) < 2:
        # Guess.
        raise validation("ResourceConfig must have InstanceType and InstanceCount, or InstanceGroups.")
    counts = [group["InstanceCount"] for group in groups] if groups else [resources["InstanceCount"]]
    if min(counts) < 1:
        message = f"InstanceCount is {min(counts)}; at least 1 instance is needed."
        raise validation(message)
    if sum(counts) > _MOST_INSTANCES:
        kind = groups[0]["InstanceType"] if groups else resources["InstanceType"]
        raise quota_exceeded(f"{kind} for training job usage", _MOST_INSTANCES, sum(counts))
    names = [group["InstanceGroupName"] for group in groups or ()]
    if len(set(names)) < len(names):
        message = f"InstanceGroupName must be unique in a training job, got {names}."
        raise validation(message)


def _check_stopping(request: Mapping[str, Any]) -> None:
    condition = request["StoppingCondition"]
    runtime = condition.get("MaxRuntimeInSeconds", DEFAULT_MAX_RUNTIME_SECONDS)
    wait = condition.get("MaxWaitTimeInSeconds")
    if runtime > _LONGEST_RUNTIME_SECONDS:
        message = f"MaxRuntimeInSeconds is {runtime}; at most {_LONGEST_RUNTIME_SECONDS} (28 days) are allowed."
        raise validation(message)
    if request.get("EnableManagedSpotTraining"):
        if wait is None or wait < runtime:
            raise validation(
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than or equal to MaxRuntimeInSeconds"
            )
    elif wait is not None:
        # Guess.
        raise validation("Invalid MaxWaitTimeInSeconds. It must not be present without EnableManagedSpotTraining")


def _check_algorithm(algorithm: Mapping[str, Any], engine: Engine) -> None:
    if "AlgorithmName" in algorithm:
        raise missing_here("AlgorithmSpecification.AlgorithmName", "give TrainingImage")
    check_definitions(algorithm.get("MetricDefinitions", []))
    for member in ("ContainerEntrypoint", "ContainerArguments"):
        check_program_text(f"algorithmSpecification.{member[0].lower()}{member[1:]}", algorithm.get(member, ()))
    image = algorithm.get("TrainingImage", "")
    if "TrainingImageConfig" not in algorithm and not _ECR_IMAGE.fullmatch(image):
        raise validation(_BAD_IMAGE)
    try:
        engine.resolve(image)
    except ContainerError as error:
        # AWS's text for an ECR path that holds no such image is not known; this says which one and why.
        message = f"{_BAD_IMAGE} {image}: {error}"
        raise validation(message) from error


def _check_checkpoints(request: Mapping[str, Any], cloud: Cloud) -> None:
    if "CheckpointConfig" not in request:
        return
    uri = request["CheckpointConfig"]["S3Uri"]
    location = read_location(uri, "checkpointConfig.s3Uri")
    try:
        cloud.client("s3").head_bucket(Bucket=location.bucket)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        # Guess: AWS does not say whether it looks at the bucket before the job runs.
        message = (
            f'The bucket "{location.bucket}" of the S3 URL "{uri}" given in CheckpointConfig cannot be read. '
            f"Please ensure that the bucket exists in the selected region ({cloud.region})."
        )
        raise validation(message) from error
    path = checkpoint_path(request)
    if not path.startswith(f"{ML_ROOT}/") or ".." in path.split("/"):
        what = f"CheckpointConfig.LocalPath {path!r} outside {ML_ROOT}"
        raise missing_here(what, f"use a path below {ML_ROOT}")


def _check_channels(request: Mapping[str, Any], cloud: Cloud) -> None:
    channels = request.get("InputDataConfig", [])
    names = [channel["ChannelName"] for channel in channels]
    if len(set(names)) < len(names):
        # Guess.
        message = f"Duplicate ChannelName in InputDataConfig: {sorted({n for n in names if names.count(n) > 1})}."
        raise validation(message)
    groups = {host.group for host in Cluster.of(request["ResourceConfig"]).hosts}
    for channel in channels:
        _check_source(request, channel, groups)
        _check_objects(request, channel, cloud)


def _check_source(request: Mapping[str, Any], channel: Mapping[str, Any], groups: set[str]) -> None:
    where = f"InputDataConfig channel {channel['ChannelName']!r}"
    source = channel["DataSource"].get("S3DataSource")
    if source is None or len(channel["DataSource"]) > 1:
        raise missing_here("a DataSource other than S3DataSource", "copy the data to S3", where)
    if channel_mode(request, channel) == "Pipe":
        raise missing_here("input mode Pipe", "use File or FastFile", where)
    if source["S3DataType"] not in {"S3Prefix", "ManifestFile"}:
        what = f"S3DataType {source['S3DataType']}"
        raise missing_here(what, "use S3Prefix or ManifestFile", where)
    if channel_mode(request, channel) == "FastFile" and source["S3DataType"] != "S3Prefix":
        # Guess; that FastFile takes prefixes only is documented.
        message = f"{where}: FastFile mode supports only S3DataType S3Prefix, got {source['S3DataType']}."
        raise validation(message)
    unknown = set(source.get("InstanceGroupNames", ())) - groups
    if unknown:
        message = f"{where}: InstanceGroupNames {sorted(unknown)} are no groups of ResourceConfig ({sorted(groups)})."
        raise validation(message)


def _check_objects(request: Mapping[str, Any], channel: Mapping[str, Any], cloud: Cloud) -> None:
    path = f"inputDataConfig channel {channel['ChannelName']!r} s3Uri"
    require_objects(channel, cloud, path=path, role=f'"{request["RoleArn"]}"')
