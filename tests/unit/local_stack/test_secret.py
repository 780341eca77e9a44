"""Secrets of the Compose stack."""

from __future__ import annotations

import base64
import json
import stat
from typing import TYPE_CHECKING

from local_stack.secret import generate, main

if TYPE_CHECKING:
    from pathlib import Path


def _generated(directory: Path) -> dict[str, str]:
    """Generate into two folders and return all files: ``folder/name`` → content."""
    airflow, services = directory / "airflow", directory / "services"
    for folder in (airflow, services):
        folder.mkdir(parents=True, exist_ok=True)
    generate(airflow, services)
    return {str(file.relative_to(directory)): file.read_text() for file in directory.rglob("*") if file.is_file()}


def test_two_stacks_share_no_secret(tmp_path: Path) -> None:
    """Nothing of them is a default that somebody might know."""
    one, other = _generated(tmp_path / "one"), _generated(tmp_path / "other")

    assert one.keys() == other.keys()
    assert not set(one.values()) & set(other.values())


def test_the_next_start_keeps_what_is_there(tmp_path: Path) -> None:
    """The database knows its password, and what Airflow encrypted needs its key."""
    assert _generated(tmp_path) == _generated(tmp_path)


def test_a_start_that_was_broken_off_is_completed(tmp_path: Path) -> None:
    """What was not there yet is made to fit what was."""
    first = _generated(tmp_path)
    (tmp_path / "airflow" / "database-url").unlink()
    (tmp_path / "airflow" / ".database-url.draft").write_text("half")

    assert _generated(tmp_path) == first


def test_urls_carry_the_passwords_that_the_services_read(tmp_path: Path) -> None:
    """Airflow logs in to both."""
    made = _generated(tmp_path)

    database, broker = made["services/database-password"], made["services/broker-password"]
    assert made["airflow/database-url"] == f"postgresql+psycopg2://airflow:{database}@postgres/airflow"
    assert made["airflow/broker-url"] == f"redis://:{broker}@redis:6379/0"


def test_keys_are_as_long_as_their_algorithms_want(tmp_path: Path) -> None:
    """Fernet takes 32 bytes and nothing else; HS512 signs with 64."""
    made = _generated(tmp_path)

    assert len(base64.urlsafe_b64decode(made["airflow/fernet-key"])) == 32
    assert len(base64.urlsafe_b64decode(made["airflow/jwt-secret"] + "==")) == 64
    assert len(json.loads(made["airflow/users.json"])["admin"]) == 32


def test_only_airflows_user_reads_airflows_secrets(tmp_path: Path) -> None:
    """Database and broker run as users that differ from image to image, so theirs are kept apart by a volume."""
    for folder in ("airflow", "services"):
        (tmp_path / folder).mkdir()
    main(["--airflow", str(tmp_path / "airflow"), "--services", str(tmp_path / "services")])

    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "airflow").iterdir()} == {0o600}
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "services").iterdir()} == {0o644}
