"""The folder of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_stack.errors import AlreadyRunningError
from local_stack.home import Home

if TYPE_CHECKING:
    from pathlib import Path


def test_a_second_stack_is_told_who_holds_the_home(tmp_path: Path) -> None:
    """Two stacks in one home would delete each other's state, so the second one does not start."""
    home = Home(tmp_path)
    with home.locked():
        home.note_holder("Airflow at http://127.0.0.1:1")
        with pytest.raises(AlreadyRunningError, match=r"Airflow at http://127\.0\.0\.1:1"), home.locked():
            pass
    with home.locked():
        pass


def test_a_start_forgets_everything_but_the_cache(tmp_path: Path) -> None:
    """Runs and logs of an earlier life would name jobs that the new local AWS does not know."""
    home = Home(tmp_path, cache=tmp_path / "cache")
    home.clear()
    home.database.write_text("old")
    home.cache.mkdir()
    (home.cache / "kept").touch()
    home.clear()
    assert not home.database.exists()
    assert (home.cache / "kept").exists()
