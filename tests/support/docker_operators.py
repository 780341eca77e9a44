"""A folder built as a DAG builds it with the worker's Docker engine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.task_run import TaskRun

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["build_and_push"]

_BUILD_VARIABLES = ("BASE_IMAGE", "PIP_EXTRA_INDEX_URL")
"""What a machine that can pull no image, or wants PyTorch for the CPU, says to every build."""


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
