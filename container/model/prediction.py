"""Answer requests with a trained model."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from model.artifact import Artifact
from model.formats import RequestReader
from model.matrix import Matrix
from sagemaker_container.errors import BadRequestError
from sagemaker_container.media import CSV, JSON
from sagemaker_container.predictor import Decoder, Prediction


class TabularPredictor:
    """Predicts a label with probabilities, or a value, for rows of numbers.

    :param artifact: the trained model.
    """

    def __init__(self, artifact: Artifact) -> None:
        self._schema = artifact.schema
        self._device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self._network = artifact.network().to(self._device)
        self._reader = RequestReader(artifact.schema.features)

    @classmethod
    def load(cls, folder: Path) -> "TabularPredictor":
        """Return the model in a folder, or raise ``ModelLoadError``."""
        return cls(Artifact.load(folder))

    @property
    def decoders(self) -> Mapping[str, Decoder]:
        """CSV and JSON."""
        return {CSV: self._reader.csv, JSON: self._reader.json}

    def sample(self) -> Matrix:
        """Return the average row of the training data."""
        return np.array([self._schema.scale.mean])

    def predict(self, batch: Matrix) -> list[Prediction]:
        """Answer each row, or refuse a row so far out that the network's arithmetic overflows."""
        with torch.inference_mode():
            outputs = self._network(self._schema.scale.apply(batch).to(self._device)).double().cpu()
        if self._schema.target:
            outputs = self._schema.target.restore(outputs)
        if not math.isfinite(outputs.sum().item()):
            row = int(outputs.isfinite().all(dim=1).logical_not().nonzero()[0]) + 1
            message = f"Row {row}: the values are too large to predict from."
            raise BadRequestError(message)
        return self._labels(outputs) if self._schema.classes else [{"value": value} for value in outputs[:, 0].tolist()]

    def _labels(self, outputs: torch.Tensor) -> list[Prediction]:
        classes = self._schema.classes
        answers = zip(outputs.argmax(dim=1).tolist(), outputs.softmax(dim=1).tolist(), strict=True)
        return [
            {"label": classes[best], "probabilities": dict(zip(classes, probabilities, strict=True))}
            for best, probabilities in answers
        ]
