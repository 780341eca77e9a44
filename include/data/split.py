"""Cut the 150 Iris rows into one held-out test set and three growing, dated snapshots.

Run it with ``python include/data/split.py``: it rewrites ``iris/test`` and ``iris/partitions`` byte for byte.
A row is known by its position in ``iris.csv``, never by its values, because Iris holds genuine duplicates
(rows 102 and 143 are the same flower measurements twice).
"""

import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

SEED = 20260101
TEST_ROWS_PER_SPECIES = 10
TRAIN_FILES = 2
VALIDATION_EVERY = 5
"""One row of five in a snapshot is for validation."""

SNAPSHOT_ROWS_PER_SPECIES = {"2026-01-01": 20, "2026-01-02": 30, "2026-01-03": 40}
"""A later date holds every row of the earlier ones, as a table that only grows does."""


class Row(NamedTuple):
    """One line of ``iris.csv``."""

    number: int
    line: str
    species: str


def read(source: Path) -> tuple[str, list[Row]]:
    """Return the header and the rows of ``iris.csv``, numbered from 1."""
    header, *lines = source.read_text(encoding="utf-8").splitlines()
    return header, [Row(number, line, line.rpartition(",")[2]) for number, line in enumerate(lines, start=1)]


def plan(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Return which rows each file holds, by path below the target folder."""
    files: dict[str, list[Row]] = {"test/test.csv": []}
    for shuffled in _shuffled_by_species(rows):
        files["test/test.csv"] += shuffled[:TEST_ROWS_PER_SPECIES]
        for date, count in SNAPSHOT_ROWS_PER_SPECIES.items():
            _add_snapshot(files, date, shuffled[TEST_ROWS_PER_SPECIES : TEST_ROWS_PER_SPECIES + count])
    return {path: sorted(rows) for path, rows in files.items()}


def write(source: Path, target: Path) -> None:
    """Replace ``test`` and ``partitions`` below ``target`` by the planned files."""
    header, rows = read(source)
    for folder in ("test", "partitions"):
        shutil.rmtree(target / folder, ignore_errors=True)
    for path, members in plan(rows).items():
        file = target / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes("".join(f"{line}\n" for line in (header, *(row.line for row in members))).encode())


def _shuffled_by_species(rows: Iterable[Row]) -> list[list[Row]]:
    generator = random.Random(SEED)  # noqa: S311 - a fixed shuffle is the point
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.species, []).append(row)
    for group in groups.values():
        generator.shuffle(group)
    return list(groups.values())


def _add_snapshot(files: dict[str, list[Row]], date: str, rows: list[Row]) -> None:
    """Deal the rows of one species to the snapshot's validation file and train files in turn."""
    for position, row in enumerate(rows):
        if position % VALIDATION_EVERY == 0:
            path = f"partitions/{date}/validation/validation.csv"
        else:
            path = f"partitions/{date}/train/part-{position % TRAIN_FILES}.csv"
        files.setdefault(path, []).append(row)


if __name__ == "__main__":
    folder = Path(__file__).parent / "iris"
    write(folder / "iris.csv", folder)
