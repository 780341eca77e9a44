"""The best epoch so far, when to stop looking for a better one, and how to take up an interrupted job."""

import copy
import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch

from model.dataset import Dataset
from model.metrics import Metrics
from model.settings import Settings
from model.trainer import Trainer

Weights = Mapping[str, torch.Tensor]


class Progress:
    """Where training stands; one per host, and the same on every host.

    :param trainer: its network and optimizer are saved and restored.
    :param identity: only a checkpoint of the same identity is taken up.
    """

    def __init__(self, trainer: Trainer, identity: str) -> None:
        self._trainer = trainer
        self._identity = identity
        self.epoch = 0
        self.best: Metrics | None = None
        self.best_weights: Weights = {}

    def record(self, metrics: Metrics) -> None:
        """Take note of a finished epoch and keep its weights if they are the best."""
        self.epoch = metrics.epoch
        if self.best is None or metrics.validation_loss < self.best.validation_loss:
            self.best = metrics
            self.best_weights = copy.deepcopy(self._trainer.network.state_dict())

    def epochs_without_gain(self) -> int:
        """Return how long ago the best epoch was."""
        return self.epoch - self.best.epoch if self.best else 0

    def state(self) -> dict[str, Any]:
        """Return everything a new process needs to go on."""
        return {
            "identity": self._identity,
            "epoch": self.epoch,
            "network": self._trainer.network.state_dict(),
            "optimizer": self._trainer.optimizer.state(),
            "best": self.best.state() if self.best else None,
            "best_weights": dict(self.best_weights),
        }

    def restore(self, state: Mapping[str, Any]) -> bool:
        """Go on from a checkpoint; return False for one of another job's data or settings."""
        if state.get("identity") != self._identity:
            return False
        self._trainer.network.load_state_dict(state["network"])
        self._trainer.optimizer.restore(state["optimizer"])
        self.epoch = state["epoch"]
        self.best = Metrics(**state["best"]) if state["best"] else None
        self.best_weights = state["best_weights"]
        return True


def identity_of(settings: Settings, data: Dataset, hosts: int) -> str:
    """Return a digest of all that makes two trainings the same one, apart from how long they go on."""
    described = asdict(settings) | {"schema": asdict(data.schema), "rows": dict(data.rows), "hosts": hosts}
    for name in ("epochs", "early_stopping_patience"):
        del described[name]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()
