"""The commands that the README tells a new user to type."""

from __future__ import annotations

import re

from local_stack.home import CHECKOUT

__all__ = ["command", "commands"]


def commands() -> list[str]:
    """Return every command of the README's console blocks, in order."""
    blocks = re.findall(r"^```console\n(.*?)^```", (CHECKOUT / "README.md").read_text(), re.DOTALL | re.MULTILINE)
    return [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]


def command(beginning: str) -> str:
    """Return the README's one command that is this or, if none is, begins so."""
    known = commands()
    (found,) = [beginning] if beginning in known else (line for line in known if line.startswith(beginning))
    return found
