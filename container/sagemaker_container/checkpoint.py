"""Numbered checkpoints in the folder that SageMaker copies to S3 while the job runs."""

import pickle
from pathlib import Path
from typing import Any

import torch

from sagemaker_container.output import report

KEPT = 2
"""The one before the newest stays, in case the newest was cut off on its way to S3."""

TEMPORARY_SUFFIX = ".sagemaker-ignore"
"""The upload agent leaves out names that end so."""


class CheckpointStore:
    """Writes and finds checkpoints.

    :param directory: the checkpoint folder. SageMaker's upload agent leaves marker files there
        (``*.sagemaker-uploading``, ``*.sagemaker-uploaded``); only names ending in ``.pt`` are checkpoints.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def save(self, number: int, state: dict[str, Any]) -> None:
        """Write one checkpoint so that it exists whole or not at all, and drop the old ones."""
        final = self._directory / f"checkpoint-{number:06d}.pt"
        temporary = final.with_name(final.name + TEMPORARY_SUFFIX)
        torch.save(state, temporary)
        temporary.replace(final)
        for old in self._newest_first()[KEPT:]:
            old.unlink(missing_ok=True)

    def latest(self) -> dict[str, Any] | None:
        """Return the newest checkpoint that can be read, or None."""
        readable = (state for file in self._newest_first() if (state := _read(file)) is not None)
        return next(readable, None)

    def _newest_first(self) -> list[Path]:
        return sorted(self._directory.glob("checkpoint-*.pt"), reverse=True)


def _read(file: Path) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        report(f"checkpoint {file.name} cannot be read and is passed over: {error}".splitlines()[0])
        return None
    return state
