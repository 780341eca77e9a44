"""Generates the passwords and keys of the Compose stack, on its first start: ``python -m local_stack.secret --help``.

Each is a file of its own, since that is how the images take secrets without showing them in their environment. What
exists is kept: a new key would lock the database of the last start. Must not know services beyond their addresses.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["generate"]

PASSWORD_BYTES = 24
KEY_BYTES = 32
"""Of Fernet's keys (the package cryptography), and enough for the others."""
OWN, READABLE = 0o600, 0o644


def generate(airflow: Path, services: Path) -> None:
    """Write every secret that is not there yet.

    :param airflow: directory that only Airflow's parts see, readable for their user alone
    :param services: directory that only database and broker see, whose users differ from image to image
    """
    database = keep(services / "database-password", password, READABLE)
    broker = keep(services / "broker-password", password, READABLE)
    keep(airflow / "fernet-key", lambda: base64.urlsafe_b64encode(os.urandom(KEY_BYTES)).decode())
    keep(airflow / "api-secret-key", password)
    # HS512 wants as many bytes as its hash has (RFC 7518, 3.2).
    keep(airflow / "jwt-secret", lambda: secrets.token_urlsafe(2 * KEY_BYTES))
    keep(airflow / "users.json", lambda: json.dumps({"admin": password()}))
    place = f"airflow:{database}@postgres/airflow"
    keep(airflow / "database-url", lambda: f"postgresql+psycopg2://{place}")
    keep(airflow / "result-backend", lambda: f"db+postgresql+psycopg2://{place}")
    keep(airflow / "broker-url", lambda: f"redis://:{broker}@redis:6379/0")


def keep(file: Path, make: Callable[[], str], mode: int = OWN) -> str:
    """Return what the file holds, after making it when it is missing."""
    if not file.exists():
        # Renamed into place, so that a start that was broken off leaves no half of a secret.
        draft = file.with_name(f".{file.name}.draft")
        draft.unlink(missing_ok=True)
        draft.touch(mode)
        draft.chmod(mode)
        draft.write_text(make(), encoding="utf-8")
        draft.replace(file)
    return file.read_text(encoding="utf-8")


def password() -> str:
    """Return a new password, of letters that need no quoting in a URL."""
    return secrets.token_urlsafe(PASSWORD_BYTES)


def main(arguments: Sequence[str] | None = None) -> None:
    """Generate what is missing."""
    parser = argparse.ArgumentParser(prog="python -m local_stack.secret", description="Generate the stack's secrets.")
    parser.add_argument("--airflow", type=Path, required=True, help="directory for what Airflow's parts read")
    parser.add_argument("--services", type=Path, required=True, help="directory for what database and broker read")
    options = parser.parse_args(arguments)
    generate(options.airflow, options.services)


if __name__ == "__main__":
    main()
