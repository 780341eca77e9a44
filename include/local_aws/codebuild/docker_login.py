"""Who is logged in to ECR in a build, for whatever is ``docker`` there.

Owns the file with the logins, which is the build's own and never the user's Docker configuration.
"""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["CommandError", "DockerParser", "log_in", "require_login"]


class CommandError(Exception):
    """What the command says before it ends with exit code 1."""


class DockerParser(argparse.ArgumentParser):
    """Say who refuses, since users expect the real command."""

    def error(self, message: str) -> NoReturn:
        """Raise CommandError in place of ending the program."""
        text = f"{message}; this stand-in knows `{self.format_usage().removeprefix('usage: ').strip()}`"
        raise CommandError(" ".join(text.split()))


def log_in(arguments: Sequence[str]) -> None:
    """Do ``docker login`` to ECR.

    :raises CommandError: the command line is none, or has neither ECR's user nor a password
    """
    parser = DockerParser(prog="docker login", add_help=False)
    parser.add_argument("-u", "--username", required=True)
    parser.add_argument("-p", "--password")
    parser.add_argument("--password-stdin", action="store_true")
    parser.add_argument("registry")
    options = parser.parse_args(arguments)
    password = sys.stdin.read().strip() if options.password_stdin else options.password
    if options.username != "AWS" or not password:
        message = (
            f"login to {options.registry} failed: ECR takes user AWS with a password from `aws ecr get-login-password`"
        )
        raise CommandError(message)
    registry = options.registry.removeprefix("https://").strip("/")
    file = _login_file()
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join({*_logins(), registry}))


def require_login(registry: str) -> None:
    """Refuse a push without login in Docker's words.

    :raises CommandError: nobody has logged in to this registry
    """
    if registry not in _logins():
        message = (
            f"no basic auth credentials for {registry}; first run "
            f"`aws ecr get-login-password | docker login --username AWS --password-stdin {registry}`"
        )
        raise CommandError(message)


def _login_file() -> Path:
    return Path(os.environ["LOCAL_AWS_LOGINS"])


def _logins() -> list[str]:
    file = _login_file()
    return file.read_text().splitlines() if file.is_file() else []
