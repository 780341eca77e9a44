"""The committed Iris files."""

import importlib.util
from pathlib import Path
from types import ModuleType

from tests.unit.container.opt_ml import IRIS


def load_split() -> ModuleType:
    """Import the script beside the data, which is in no package."""
    spec = importlib.util.spec_from_file_location("iris_split", IRIS.parent / "split.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def csv_files(folder: Path) -> dict[str, bytes]:
    """Return the content of every CSV file by its path."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*.csv")}


def test_the_script_makes_the_committed_files_again_byte_for_byte(tmp_path: Path) -> None:
    """Nobody has edited a split by hand, and the split is repeatable."""
    load_split().write(IRIS / "iris.csv", tmp_path)
    made, committed = csv_files(tmp_path), csv_files(IRIS)
    del committed["iris.csv"]
    assert made == committed


def test_no_held_out_row_is_in_a_partition() -> None:
    """Rows are compared by their number, because Iris holds genuine duplicates."""
    split = load_split()
    files = split.plan(split.read(IRIS / "iris.csv")[1])
    test_rows = {row.number for row in files.pop("test/test.csv")}
    assert len(test_rows) == 30
    assert not any(row.number in test_rows for rows in files.values() for row in rows)


def test_every_snapshot_holds_all_of_the_one_before_and_grows() -> None:
    """The partitions are snapshots of one growing table."""
    split = load_split()
    files = split.plan(split.read(IRIS / "iris.csv")[1])
    snapshots = [
        {row.number for path, rows in files.items() if date in path for row in rows}
        for date in ("2026-01-01", "2026-01-02", "2026-01-03")
    ]
    assert [len(snapshot) for snapshot in snapshots] == [60, 90, 120]
    assert snapshots[0] < snapshots[1] < snapshots[2]


def test_every_file_holds_the_three_species_alike() -> None:
    """No file is short of a species, so each could be trained or tested on alone."""
    split = load_split()
    for path, rows in split.plan(split.read(IRIS / "iris.csv")[1]).items():
        species = [row.species for row in rows]
        assert {species.count(name) for name in ("setosa", "versicolor", "virginica")} == {len(rows) // 3}, path
