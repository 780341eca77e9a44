"""Operators that reach a local AWS with the Docker engine, as they reach AWS: by boto3's own environment variables."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING
from unittest import mock

from sagemaker_byoc.hooks import connection
from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.docker_cloud import DockerCloud

__all__ = ["build_and_push", "operators_reach"]

_BUILD_VARIABLES = ("BASE_IMAGE", "PIP_EXTRA_INDEX_URL")
"""What a machine that can pull no image, or wants PyTorch for the CPU, says to every build."""


@contextmanager
def operators_reach(cloud: DockerCloud) -> Iterator[None]:
    """Point every client that operators make at this local AWS; they need ``aws_conn_id=None``."""
    environment = {
        "AWS_ENDPOINT_URL": cloud.endpoint_url,
        "AWS_DEFAULT_REGION": cloud.region,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        # What does not go to the local AWS dies here instead of reaching AWS.
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "NO_PROXY": "127.0.0.1",
    }

    with (
        mock.patch.dict(os.environ, environment),
        # Clients of an earlier local AWS must not be found again.
        mock.patch.dict(connection._clients, clear=True),
    ):
        yield


def build_and_push(context: Path, repository: str) -> str:
    """Build a folder with the worker's Docker engine, as a DAG would; return the image's URI by digest."""
    operator = BuildPushImageOperator(
        task_id="build_push_image",
        context_path=str(context),
        repository=repository,
        builder="docker",
        build_args={name: os.environ[name] for name in _BUILD_VARIABLES if name in os.environ},
        aws_conn_id=None,
    )
    return str(TaskRun().of(operator))
