"""The files of ``/opt/ml/input/config`` and the environment of a training container.

Owns their names and contents. Documented are hyperparameters, inputdataconfig and resourceconfig, and the
variables TRAINING_JOB_NAME and TRAINING_JOB_ARN; the rest is what real jobs were seen to have.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from local_aws.sagemaker.ml_directory import CHECKPOINTS, ML_ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.sagemaker.cluster import Cluster, Host

__all__ = ["channel_mode", "checkpoint_path", "config_files", "environment"]

_OPTIONAL_FILES = {"DebugHookConfig": "debughookconfig.json", "ProfilerConfig": "profilerconfig.json"}
_TENSORBOARD_PATH = f"{ML_ROOT}/output/tensorboard/"


def config_files(request: Mapping[str, Any], cluster: Cluster, host: Host, network_interface: str) -> dict[str, Any]:
    """Return file name → JSON value for one host of a CreateTrainingJob request."""
    files = {
        "hyperparameters.json": request.get("HyperParameters", {}),
        "inputdataconfig.json": _input_data_config(request, cluster, host),
        "resourceconfig.json": cluster.resource_config(host, network_interface),
        "init-config.json": _init_config(request, cluster, host),
        # Its content with definitions was never published; the request's own form is a guess.
        "metric-definition-regex.json": request["AlgorithmSpecification"].get("MetricDefinitions", []),
    }
    files.update({name: request[member] for member, name in _OPTIONAL_FILES.items() if member in request})
    if "TensorBoardOutputConfig" in request:
        files["tensorboardoutputconfig.json"] = {"LocalPath": _TENSORBOARD_PATH, **request["TensorBoardOutputConfig"]}
    if "CheckpointConfig" in request:
        files["checkpointconfig.json"] = {"LocalPath": checkpoint_path(request)}
    return files


def environment(request: Mapping[str, Any], arn: str, cloud: Cloud) -> dict[str, str]:
    """Return the variables of a training container.

    Without network isolation AWS provides credentials of the job's role; here they are dummy keys and the address of
    the local AWS.
    """
    variables = {
        "TRAINING_JOB_NAME": request["TrainingJobName"],
        "TRAINING_JOB_ARN": arn,
        "AWS_REGION": cloud.region,
        "SAGEMAKER_METRICS_DIRECTORY": f"{ML_ROOT}/output/metrics/sagemaker",
    }
    if not request.get("EnableNetworkIsolation"):
        variables.update(cloud.credentials())
    return {**variables, **request.get("Environment", {})}


def checkpoint_path(request: Mapping[str, Any]) -> str:
    """Return the container's directory for checkpoints of a request that has a CheckpointConfig."""
    return str(request["CheckpointConfig"].get("LocalPath") or CHECKPOINTS)


def channel_mode(request: Mapping[str, Any], channel: Mapping[str, Any]) -> str:
    """Return ``File``, ``FastFile`` or ``Pipe``: the channel's own mode goes before the algorithm's."""
    return str(channel.get("InputMode") or request["AlgorithmSpecification"]["TrainingInputMode"])


def _channels(request: Mapping[str, Any], cluster: Cluster, host: Host) -> list[Mapping[str, Any]]:
    return [
        channel
        for channel in request.get("InputDataConfig", [])
        if host in cluster.receivers(channel["DataSource"]["S3DataSource"].get("InstanceGroupNames"))
    ]


def _input_data_config(request: Mapping[str, Any], cluster: Cluster, host: Host) -> dict[str, Any]:
    return {
        channel["ChannelName"]: {
            **({"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}),
            "TrainingInputMode": channel_mode(request, channel),
            "S3DistributionType": _distribution(channel),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
        for channel in _channels(request, cluster, host)
    }


def _init_config(request: Mapping[str, Any], cluster: Cluster, host: Host) -> dict[str, Any]:
    """Follow the one published example (a two-host job of October 2020); internal to AWS."""
    config: dict[str, Any] = {
        "inputMode": _upper_snake(request["AlgorithmSpecification"]["TrainingInputMode"]),
        "channels": {
            channel["ChannelName"]: _init_channel(
                channel["DataSource"]["S3DataSource"],
                channel_mode(request, channel),
                {"compression": channel.get("CompressionType"), "wrapper": channel.get("RecordWrapperType")},
            )
            for channel in _channels(request, cluster, host)
        },
        "checkpointChannel": None,
        "hostConfig": {"clusterSize": len(cluster.hosts), "hostNumber": host.number},
        "enableAdditionalPlatformLoggingForCustomer": False,
        "jobRunInfo": {"jobRunNumber": 1},
    }
    if "CheckpointConfig" in request:
        source = {"S3DataType": "S3Prefix", "S3Uri": request["CheckpointConfig"]["S3Uri"]}
        config["checkpointChannel"] = {
            "name": "checkpoints",
            "channel": _init_channel(source, "File", {}),
            "outputPath": checkpoint_path(request),
            "allowEmpty": True,
        }
    return config


def _init_channel(source: Mapping[str, Any], mode: str, words: Mapping[str, str | None]) -> dict[str, Any]:
    distribution = source.get("S3DataDistributionType", "FullyReplicated")
    return {
        "s3DataSource": {
            "s3DataType": _upper_snake(source["S3DataType"]),
            "s3Uri": source["S3Uri"],
            "s3DataDistributionType": _upper_snake(distribution),
            "attributeNames": source.get("AttributeNames"),
        },
        "fileSystemDataSource": None,
        "compressionType": _upper_snake(words.get("compression") or "None"),
        "recordWrapper": _upper_snake(words.get("wrapper") or "None"),
        "shuffleConfig": None,
        "inputMode": _upper_snake(mode),
        "sharded": distribution == "ShardedByS3Key",
    }


def _distribution(channel: Mapping[str, Any]) -> str:
    return str(channel["DataSource"]["S3DataSource"].get("S3DataDistributionType", "FullyReplicated"))


def _upper_snake(word: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).upper()
