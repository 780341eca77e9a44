"""Keeps a state directory to one local AWS at a time.

Owns the lock file. Must not know what is in the directory.
"""

from __future__ import annotations

import errno
import fcntl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["StateLock"]


class StateLock:
    """The right to use a state directory, held from the constructor to ``release`` or the end of the process.

    Whoever has it may take every container noted in the directory for one that an earlier life left behind.

    :param directory: made when it is missing
    :raises OSError: when another local AWS uses the directory
    """

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._file = (directory / "lock").open("a")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            message = f"the state directory {directory} is in use by another local AWS; stop that one or give another"
            raise OSError(errno.EBUSY, message) from error

    def release(self) -> None:
        """Let another local AWS have the directory."""
        self._file.close()
