"""The two files that a trained model consists of: ``model.json`` says what it is, ``model.pt`` holds its weights."""

import json
import pickle
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from model.network import build_network
from model.schema import Scale, Schema
from sagemaker_container.errors import ModelLoadError

FORMAT_VERSION = 1
DESCRIPTION = "model.json"
WEIGHTS = "model.pt"


@dataclass(frozen=True)
class Artifact:
    """A trained model.

    :param hidden_units: widths of the hidden layers.
    :param rows: how many rows it was trained and validated on.
    :param metrics: what the kept epoch measured, with the epoch's number.
    """

    schema: Schema
    hidden_units: tuple[int, ...]
    rows: Mapping[str, int]
    metrics: Mapping[str, float]
    weights: Mapping[str, torch.Tensor]

    def save(self, folder: Path) -> None:
        """Write both files."""
        description = {
            "format_version": FORMAT_VERSION,
            "task": self.schema.task,
            **asdict(self.schema),
            "hidden_units": self.hidden_units,
            "rows": dict(self.rows),
            "metrics": dict(self.metrics),
        }
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(dict(self.weights), folder / WEIGHTS)
        (folder / DESCRIPTION).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Artifact":
        """Read both files, or raise ``ModelLoadError`` saying what is wrong with them."""
        try:
            description = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
            weights = torch.load(folder / WEIGHTS, map_location="cpu", weights_only=True)
            return cls(
                schema=_schema(description),
                hidden_units=tuple(description["hidden_units"]),
                rows=dict(description["rows"]),
                metrics=dict(description["metrics"]),
                weights=dict(weights),
            )
        except (OSError, ValueError, KeyError, TypeError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
            message = f"No usable model in {folder} ({DESCRIPTION} and {WEIGHTS}): {type(error).__name__}: {error}"
            raise ModelLoadError(message) from error

    def network(self) -> nn.Module:
        """Return the network with its weights, ready to predict."""
        network = build_network(len(self.schema.features), self.hidden_units, self.schema.outputs)
        try:
            network.load_state_dict(dict(self.weights))
        except RuntimeError as error:
            message = f"{WEIGHTS} does not fit the network that {DESCRIPTION} describes: {error}"
            raise ModelLoadError(message) from error
        return network.eval()


def _schema(description: Mapping[str, Any]) -> Schema:
    version = description["format_version"]
    if version != FORMAT_VERSION:
        message = f"the format version is {version!r}, this container reads {FORMAT_VERSION}"
        raise ValueError(message)
    return Schema(
        label_column=description["label_column"],
        features=tuple(description["features"]),
        classes=tuple(description["classes"]),
        scale=_scale(description["scale"]),
        target=_scale(description["target"]) if description["target"] else None,
    )


def _scale(described: Mapping[str, list[float]]) -> Scale:
    return Scale(tuple(described["mean"]), tuple(described["deviation"]))
