"""/opt/ml on this machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_aws.sagemaker.ml_directory import MlDirectory

if TYPE_CHECKING:
    from pathlib import Path


def test_a_container_path_is_found_below_the_root(tmp_path: Path) -> None:
    """/opt/ml is the root itself."""
    directory = MlDirectory(tmp_path)

    assert directory.local_path("/opt/ml/checkpoints") == tmp_path / "checkpoints"
    assert directory.local_path("/opt/ml/a/b/") == tmp_path / "a/b"


@pytest.mark.parametrize("path", ["/state", "opt/ml/x", "/opt/ml/../x", "/opt/mlx"])
def test_any_other_path_is_refused(tmp_path: Path, path: str) -> None:
    """An engine gives a container nothing else."""
    with pytest.raises(ValueError, match="is not below /opt/ml"):
        MlDirectory(tmp_path).local_path(path)


def test_the_failure_text_is_cut_by_characters(tmp_path: Path) -> None:
    """1,024 characters, not bytes; bytes that are no text are replaced; no file is no text."""
    directory = MlDirectory(tmp_path)
    assert directory.failure_text() == ""
    directory.lay_out({})

    (tmp_path / "output/failure").write_text("é" * 2000, encoding="utf-8")
    assert directory.failure_text() == "é" * 1024
    (tmp_path / "output/failure").write_bytes(b"bad \xff byte")
    assert directory.failure_text() == "bad \ufffd byte"
