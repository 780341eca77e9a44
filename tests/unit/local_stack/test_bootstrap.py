"""What a machine has to have before anything is installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from local_stack import bootstrap

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(("version", "word"), [((3, 9), "too old"), ((3, 14), "too new")])
def test_an_unusable_python_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: Any, tmp_path: Path, version: tuple[int, int], word: str
) -> None:
    """One line says which Python this is, which ones will do and how to name one."""
    monkeypatch.setattr(sys, "version_info", (*version, 0))
    assert bootstrap.main([str(tmp_path / "venv"), "requirements.txt"]) == 1
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert f"Python {version[0]}.{version[1]} is {word}" in error
    assert "PYTHON=" in error


def test_too_little_disk_is_said_before_anything_is_installed(tmp_path: Path, capsys: Any) -> None:
    """A full disk half way through an installation is worse than one line at its start."""
    environment = tmp_path / "venv"
    assert bootstrap.main([str(environment), "none.txt", "--free-gigabytes", "1e9"]) == 1
    assert "GB free" in capsys.readouterr().err
    assert not environment.exists()


def test_an_environment_elsewhere_is_not_emptied_through_a_link(tmp_path: Path, capsys: Any) -> None:
    """What the link leads to may belong to another checkout, and be in use."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "made-from").write_text("other requirements")
    link = tmp_path / "venv"
    link.symlink_to(elsewhere)
    assert bootstrap.main([str(link), "none.txt", "--free-gigabytes", "0"]) == 1
    assert "is a link to" in capsys.readouterr().err
    assert (elsewhere / "made-from").exists()


def test_an_environment_is_up_to_date_until_its_requirements_change(tmp_path: Path) -> None:
    """The constraints file counts too: a new lock makes a new environment."""
    requirements, lock = tmp_path / "requirements.txt", tmp_path / "requirements.lock"
    requirements.write_text("-c requirements.lock\n")
    lock.write_text("six==1.16.0\n")
    before = bootstrap.fingerprint([requirements])
    assert bootstrap.fingerprint([requirements]) == before
    lock.write_text("six==1.17.0\n")
    assert bootstrap.fingerprint([requirements]) != before


def test_a_package_that_does_not_install_is_one_line(tmp_path: Path, capsys: Any) -> None:
    """pip's own error line is shown, and where the rest is."""
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"{tmp_path}/no-such-package.whl\n")
    assert bootstrap.main([str(tmp_path / "venv"), str(requirements), "--free-gigabytes", "0"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: a package does not install: ERROR")
    assert error.count("\n") == 1
