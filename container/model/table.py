"""Read the CSV files of a channel."""

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model.matrix import CellError, Matrix, to_matrix
from sagemaker_container.configuration import Channel
from sagemaker_container.errors import TrainingDataError


@dataclass(frozen=True)
class Table:
    """Rows of features with their labels.

    :param columns: names of the features, in the order of the matrix; empty for a host without files.
    :param features: one row for each label.
    """

    columns: tuple[str, ...]
    features: Matrix
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def arranged(self, columns: Sequence[str], origin: str) -> "Table":
        """Return the table with exactly these columns in this order."""
        if not self.columns:
            return Table(tuple(columns), np.empty((0, len(columns))), ())
        if set(columns) != set(self.columns):
            message = f"{origin} has the feature columns {sorted(self.columns)}, expected {sorted(columns)}."
            raise TrainingDataError(message)
        return Table(tuple(columns), self.features[:, [self.columns.index(name) for name in columns]], self.labels)

    def rows(self, positions: Sequence[int]) -> "Table":
        """Return only the rows at these positions."""
        chosen = tuple(self.labels[position] for position in positions)
        return Table(self.columns, self.features[list(positions)], chosen)


def read_table(channel: Channel, label_column: str) -> Table:
    """Return all rows of every ``*.csv`` below the channel's folder, in the order of the file names.

    A host without files is a fault only when the channel is the same on every host.
    """
    files = sorted(file for file in channel.directory.rglob("*.csv") if file.is_file())
    if not files and not channel.sharded:
        found = sorted(path.name for path in channel.directory.rglob("*") if path.is_file())[:5]
        message = f"Channel {channel.name!r} holds no *.csv file; found: {', '.join(found) or 'nothing'}."
        raise TrainingDataError(message)
    tables = [_read_file(file, label_column, f"{channel.name}/{file.relative_to(channel.directory)}") for file in files]
    return _joined(tables, channel.name)


def _joined(tables: Sequence[Table], origin: str) -> Table:
    if not tables:
        return Table((), np.empty((0, 0)), ())
    columns = tables[0].columns
    same = [table.arranged(columns, f"A file of channel {origin!r}") for table in tables]
    labels = tuple(label for table in same for label in table.labels)
    return Table(columns, np.concatenate([table.features for table in same]), labels)


def _read_file(file: Path, label_column: str, name: str) -> Table:
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            return _parse(csv.reader(lines), label_column, name)
    except (csv.Error, UnicodeDecodeError) as error:
        message = f"{name} is not a CSV file in UTF-8: {error}."
        raise TrainingDataError(message) from error


def _parse(reader: Iterator[list[str]], label_column: str, name: str) -> Table:
    header = [column.strip() for column in next(reader, [])]
    if label_column not in header or len(set(header)) != len(header) or len(header) == 1:
        message = (
            f"{name}: the first line must name the columns, each once, among them {label_column!r} "
            f"(hyperparameter label_column) and a feature; it is {','.join(header)[:200]!r}."
        )
        raise TrainingDataError(message)
    rows = [row for row in reader if row]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(header):
            message = f"{name}, row {number}: {len(row)} cells where the header has {len(header)}."
            raise TrainingDataError(message)
    return _split_label(header, rows, header.index(label_column), name)


def _split_label(header: list[str], rows: list[list[str]], label: int, name: str) -> Table:
    columns = [*header[:label], *header[label + 1 :]]
    labels = tuple(row.pop(label).strip() for row in rows)
    if "" in labels:
        message = f"{name}, row {labels.index('') + 1}: the label (column {header[label]!r}) is empty."
        raise TrainingDataError(message)
    try:
        return Table(tuple(columns), to_matrix(rows, len(columns)), labels)
    except CellError as error:
        message = f"{name}, row {error.row + 1}: column {columns[error.column]!r} {error.reason}."
        raise TrainingDataError(message) from error
