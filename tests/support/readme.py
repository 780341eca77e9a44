"""The commands that the README tells a new user to type."""

from __future__ import annotations

import os
import re

from local_stack.home import CHECKOUT

__all__ = ["command", "commands", "terminal"]


def commands() -> list[str]:
    """Return every command of the README's console blocks, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def command(beginning: str) -> str:
    """Return the README's one command that is this or, if none is, begins so."""
    known = commands()
    (found,) = [beginning] if beginning in known else (line for line in known if line.startswith(beginning))
    return found


def terminal(**variables: str) -> dict[str, str]:
    """Return the environment in which a user types a command, and not that of the make which runs the tests.

    :param variables: set besides
    """
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    return inherited | variables
