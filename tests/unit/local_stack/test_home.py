"""The folder of a stack."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_stack.errors import AlreadyRunningError, StackError
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


def test_what_cannot_be_removed_is_named(tmp_path: Path) -> None:
    """A crash may leave files of root's; nobody should meet a traceback then."""
    home = Home(tmp_path / "home")
    home.root.mkdir()
    # Also root may not remove the target of a link like this.
    home.aws_state.symlink_to(tmp_path)

    with pytest.raises(StackError, match=r"home/aws cannot be emptied \(.*\): try again .* remove it, as root"):
        home.clear()


def test_two_homes_have_registries_of_their_own(tmp_path: Path) -> None:
    """One registry writes a folder; what homes share is the cache."""
    one, two = (Home(tmp_path / name, cache=tmp_path / "cache") for name in ("one", "two"))

    assert one.registry != two.registry


def test_the_registrys_content_outlives_a_start(tmp_path: Path) -> None:
    """The second run finds what the first has built."""
    home = Home(tmp_path)
    home.registry.mkdir(parents=True)
    (home.registry / "kept").touch()

    home.clear()

    assert (home.registry / "kept").exists()
