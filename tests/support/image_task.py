"""The task that builds an image, as a DAG would have it, and small folders to build from."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.operators.image import BuildPushImageOperator

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["BASE", "codebuild_operator", "docker_operator", "write_folder"]

BASE = f"sagemaker-byoc-test-base:{os.getpid()}"
"""A base image that only the engine holds; its name is this process's own, since an engine may serve several."""


def write_folder(folder: Path, dockerfile: str, base: str = BASE) -> Path:
    """Write a context with a Dockerfile and an executable ``train``."""
    (folder / "model").mkdir(exist_ok=True, parents=True)
    (folder / "Dockerfile").write_text(f"FROM {base}\n{dockerfile}")
    (folder / "train").write_text(f"#!/bin/sh\necho {folder.name}\n")
    (folder / "train").chmod(0o700)
    (folder / "model" / "net.py").write_text("x = 1\n")
    return folder


def docker_operator(folder: Path, repository: str, **changes: Any) -> BuildPushImageOperator:
    """Make the operator that builds with the engine."""
    settings = {"context_path": str(folder), "repository": repository, "builder": "docker", "aws_conn_id": None}
    return BuildPushImageOperator(task_id="build_push_image", **{**settings, **changes})


def codebuild_operator(folder: Path, repository: str, **changes: Any) -> BuildPushImageOperator:
    """Make the operator that builds with CodeBuild, and looks again at once."""
    settings = {
        "context_path": str(folder),
        "repository": repository,
        "project_name": "images",
        "source_bucket": "bucket",
        "aws_conn_id": None,
        "poll_interval_seconds": 0,
    }
    return BuildPushImageOperator(task_id="build_push_image", **{**settings, **changes})
