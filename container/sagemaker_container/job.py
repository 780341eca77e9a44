"""What a model is given to train with."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sagemaker_container.checkpoint import CheckpointStore
from sagemaker_container.cluster import Cluster
from sagemaker_container.configuration import Channel
from sagemaker_container.errors import ConfigurationError


@dataclass(frozen=True)
class TrainingJob:
    """One host's view of a training job.

    :param hyperparameters: by name, decoded; the model checks them.
    :param channels: the inputs, by name.
    :param model_dir: only the leader of the cluster writes here.
    :param output_dir: for reports and plots; they come back as ``output.tar.gz``.
    :param checkpoints: None for a job without ``CheckpointConfig``.
    :param cluster: the hosts of the job.
    :param stop_requested: asked between steps; once it says True, keep the best model and return.
    """

    hyperparameters: Mapping[str, Any]
    channels: Mapping[str, Channel]
    model_dir: Path
    output_dir: Path
    checkpoints: CheckpointStore | None
    cluster: Cluster
    stop_requested: Callable[[], bool]

    def training_channel(self) -> Channel:
        """Return the channel ``train`` or ``training``, or the only one there is."""
        for name in ("train", "training"):
            if name in self.channels:
                return self.channels[name]
        if len(self.channels) == 1:
            return next(iter(self.channels.values()))
        message = f"No channel 'train' or 'training' among the channels of the job: {sorted(self.channels)}."
        raise ConfigurationError(message)

    def validation_channel(self) -> Channel | None:
        """Return the channel ``validation``, if the job has one."""
        return self.channels.get("validation")
