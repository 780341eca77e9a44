"""Which rows this host trains on and which it validates on."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch

from model.schema import Schema, agree_on_classes, agree_on_columns, agree_on_scale, numbers
from model.settings import Settings
from model.table import Table, read_table
from sagemaker_container.cluster import Cluster
from sagemaker_container.errors import TrainingDataError
from sagemaker_container.job import TrainingJob


@dataclass(frozen=True)
class Examples:
    """Encoded rows of one host."""

    inputs: torch.Tensor
    labels: torch.Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """The data of one host and the schema that all hosts share.

    :param rows: how many rows all hosts together train and validate on.
    """

    schema: Schema
    train: Examples
    validation: Examples
    rows: Mapping[str, int]


def prepare(job: TrainingJob, settings: Settings) -> Dataset:
    """Read the channels, divide the rows among the hosts, and agree with them on the schema."""
    channel = job.training_channel()
    table = read_table(channel, settings.label_column)
    columns = agree_on_columns(job.cluster, table)
    table = table.arranged(columns, f"Channel {channel.name!r}")
    classes = agree_on_classes(job.cluster, table.labels, settings.task)
    train, validation = _divide(job, settings, table, stratify=bool(classes))
    schema = Schema(
        label_column=settings.label_column,
        features=columns,
        classes=classes,
        scale=agree_on_scale(job.cluster, train.features),
        target=None if classes else agree_on_scale(job.cluster, numbers(train.labels, settings.label_column)[:, None]),
    )
    rows = {"train": sum(job.cluster.gather(len(train))), "validation": sum(job.cluster.gather(len(validation)))}
    if not rows["validation"]:
        message = "There are no rows to validate on; give more rows or a channel 'validation'."
        raise TrainingDataError(message)
    return Dataset(schema, _encode(schema, train), _encode(schema, validation), rows)


def _divide(job: TrainingJob, settings: Settings, table: Table, *, stratify: bool) -> tuple[Table, Table]:
    """Return this host's training and validation rows."""
    channel, separate = job.training_channel(), job.validation_channel()
    if separate is None:
        kept, held_back = _hold_back(table, settings, stratify=stratify)
        return _part(job.cluster, kept, sharded=channel.sharded), _part(job.cluster, held_back, sharded=channel.sharded)
    validation = read_table(separate, settings.label_column).arranged(table.columns, "Channel 'validation'")
    return (
        _part(job.cluster, table, sharded=channel.sharded),
        _part(job.cluster, validation, sharded=separate.sharded),
    )


def _part(cluster: Cluster, table: Table, *, sharded: bool) -> Table:
    """Return every n-th row of data that all hosts hold; data that SageMaker sharded is this host's own already."""
    return table if sharded else table.rows(range(cluster.rank, len(table), cluster.size))


def _hold_back(table: Table, settings: Settings, *, stratify: bool) -> tuple[Table, Table]:
    """Split off the validation fraction, of every class alike, the same way on every host with the same rows."""
    groups: dict[str, list[int]] = {}
    for position, label in enumerate(table.labels):
        groups.setdefault(label if stratify else "", []).append(position)
    generator = random.Random(settings.seed)  # noqa: S311 - repeatable, not secret
    held_back: set[int] = set()
    for group in groups.values():
        held_back.update(generator.sample(group, _share(group, settings.validation_fraction)))
    kept = [position for position in range(len(table)) if position not in held_back]
    return table.rows(kept), table.rows(sorted(held_back))


def _share(group: Sequence[int], fraction: float) -> int:
    """Return how many of a group to hold back: at least one, and never the last one."""
    return min(max(1, round(len(group) * fraction)), len(group) - 1)


def _encode(schema: Schema, table: Table) -> Examples:
    return Examples(schema.scale.apply(table.features), schema.labels(table.labels))
