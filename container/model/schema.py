"""What the numbers mean: features, classes, and the statistics that standardise them.

The schema is agreed by all hosts before training, is stored with the model, and is all that serving knows of the data.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from model.matrix import Matrix
from model.table import Table
from sagemaker_container.cluster import Cluster
from sagemaker_container.errors import TrainingDataError

CLASSIFICATION = "classification"
REGRESSION = "regression"

WHOLE_NUMBER_CLASSES = 20
"""With task ``auto``, up to this many distinct whole numbers are classes; more are a quantity."""

CLASS_LIMIT = 1000


@dataclass(frozen=True)
class Scale:
    """Mean and standard deviation, by column."""

    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def apply(self, matrix: Matrix) -> torch.Tensor:
        """Return the matrix in standard units."""
        mean, deviation = self._arrays
        with np.errstate(over="ignore"):
            return torch.from_numpy(((matrix - mean) / deviation).astype(np.float32))

    def restore(self, scaled: torch.Tensor) -> torch.Tensor:
        """Return what was in standard units in the column's own."""
        return scaled * torch.tensor(self.deviation) + torch.tensor(self.mean)

    @cached_property
    def _arrays(self) -> tuple[Matrix, Matrix]:
        return np.array(self.mean), np.array(self.deviation)


@dataclass(frozen=True)
class Schema:
    """How rows become tensors.

    :param classes: the labels in order, empty for regression.
    :param target: the scale of the label; None for classification.
    """

    label_column: str
    features: tuple[str, ...]
    classes: tuple[str, ...]
    scale: Scale
    target: Scale | None = None

    @property
    def task(self) -> str:
        """Either ``classification`` or ``regression``."""
        return CLASSIFICATION if self.classes else REGRESSION

    @property
    def outputs(self) -> int:
        """How many numbers the network ends in."""
        return len(self.classes) or 1

    def labels(self, labels: Sequence[str]) -> torch.Tensor:
        """Return the labels as class numbers, or as numbers in standard units."""
        if self.target is None:
            return torch.tensor([self._class_number(label) for label in labels], dtype=torch.long)
        return self.target.apply(numbers(labels, self.label_column)[:, None])[:, 0]

    def _class_number(self, label: str) -> int:
        try:
            return self.classes.index(label)
        except ValueError as error:
            message = f"The validation rows have the label {label!r}, which the training rows do not have."
            raise TrainingDataError(message) from error


def numbers(labels: Iterable[str], column: str) -> Matrix:
    """Return labels as numbers, or raise ``TrainingDataError`` for the first that is none."""
    values = [_finite(label) for label in labels]
    for label, value in zip(labels, values, strict=True):
        if value is None:
            message = f"Column {column!r} holds {label!r}; with task=regression every label is a finite number."
            raise TrainingDataError(message)
    return np.array(values, dtype=np.float64)


def agree_on_columns(cluster: Cluster, table: Table) -> tuple[str, ...]:
    """Return the feature columns of the first host that has a file."""
    columns = next((columns for columns in cluster.gather(table.columns) if columns), ())
    if not any(cluster.gather(len(table))):
        message = "The training channel has no rows."
        raise TrainingDataError(message)
    return columns


def agree_on_classes(cluster: Cluster, labels: Sequence[str], task: str) -> tuple[str, ...]:
    """Return the classes of all hosts in order, or nothing for regression."""
    # No host sends more labels than it takes to know that there are too many.
    local = sorted(set(labels))[: CLASS_LIMIT + 1]
    distinct = sorted(set().union(*cluster.gather(local)), key=_natural_order)
    if task == REGRESSION or (task == "auto" and _is_quantity(distinct)):
        return ()
    if not 2 <= len(distinct) <= CLASS_LIMIT:
        message = f"Classification needs 2 to {CLASS_LIMIT} distinct labels; there are {len(distinct)}."
        raise TrainingDataError(message)
    return tuple(distinct)


def agree_on_scale(cluster: Cluster, matrix: Matrix) -> Scale:
    """Return mean and deviation of the rows of all hosts together."""
    count = _total(cluster, np.array([len(matrix)]))[0]
    mean = _total(cluster, matrix.sum(axis=0)) / count
    variance = _total(cluster, ((matrix - mean) ** 2).sum(axis=0)) / count
    # A column that never changes says nothing; dividing by 1 keeps it at zero.
    deviation = np.where(variance > 0, np.sqrt(variance), 1.0)
    if not np.isfinite(mean).all() or not np.isfinite(deviation).all():
        message = "A column's values are so large that their mean or deviation is not a finite number."
        raise TrainingDataError(message)
    return Scale(tuple(mean.tolist()), tuple(deviation.tolist()))


def _total(cluster: Cluster, values: Matrix) -> Matrix:
    return cluster.add(torch.tensor(values, dtype=torch.float64)).numpy()


def _is_quantity(labels: Sequence[str]) -> bool:
    values = [_finite(label) for label in labels]
    if None in values:
        return False
    return len(values) > WHOLE_NUMBER_CLASSES or any(value != int(value) for value in values if value is not None)


def _natural_order(label: str) -> tuple[float, str]:
    value = _finite(label)
    return (math.inf if value is None else value, label)


def _finite(label: str) -> float | None:
    try:
        value = float(label)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
