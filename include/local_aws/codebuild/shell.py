"""The one shell in which all commands of a build run, so that ``cd`` and ``export`` last.

Owns the shell process and the way commands reach it. Must not know phases.
"""

from __future__ import annotations

import os
import re
import shutil
import uuid
from typing import TYPE_CHECKING

from local_aws.process.container import Command, ProcessContainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from local_aws.process.register import ProcessRegister

__all__ = ["Shell"]

_STOP_GRACE_SECONDS = 2.0
"""For a shell that ignores SIGTERM. Whoever stops the local AWS may not wait long, as the stack, which waits 4 s."""

# Each line of the pipe names a file with one command. Sourcing it keeps variables; the mark tells its status.
_DRIVER = """
exec 3<"$1"
while IFS= read -r command_file <&3; do
  . "$command_file" 3<&-
  printf '%s %s\\n' "$2" "$?"
done
"""


class Shell:
    """A running shell.

    :param name: ``sh`` or ``bash``
    :param directory: where the command files are written; made when it is missing
    :param working_dir: where the shell starts
    :param write: gets each line of output
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        working_dir: Path,
        environment: Mapping[str, str],
        register: ProcessRegister,
        write: Callable[[str], None],
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._directory = directory
        self._write = write
        mark = f"end-of-command-{uuid.uuid4().hex}"
        self._mark = re.compile(rf"(?P<rest>.*){mark} (?P<status>\d+)")
        pipe = directory / mark
        os.mkfifo(pipe)
        # Opened for both ways, so that neither side waits for the other to open it.
        self._pipe = os.open(pipe, os.O_RDWR)
        words = [shutil.which(name) or f"/bin/{name}", "-c", _DRIVER, name, str(pipe), mark]
        self._process = ProcessContainer(Command(words, working_dir, environment), register.add, register.remove)
        self._lines: Iterator[str] = self._process.lines()
        self._count = 0

    @property
    def has_ended(self) -> bool:
        """Whether a command or somebody else ended the shell."""
        return self._process.wait(0) is not None

    def run(self, command: str) -> int:
        """Run one command, which may have several lines, and return its exit status; its output goes to ``write``."""
        self._count += 1
        file = self._directory / f"{self._count:03}.sh"
        file.write_text(command + "\n")
        os.write(self._pipe, f"{file}\n".encode())
        for line in self._lines:
            match = self._mark.fullmatch(line)
            if match is None:
                self._write(line)
                continue
            if match["rest"]:
                self._write(match["rest"])
            return int(match["status"])
        # The command ended the shell itself, with `exit` or a syntax error, or the build is being stopped.
        return self._process.wait() or 0

    def read(self, variable: str) -> str:
        """Return the value that a variable has in the shell now; empty when it has none."""
        lines: list[str] = []
        write, self._write = self._write, lines.append
        self.run(f'printf "%s\\n" "${{{variable}-}}"')
        self._write = write
        return "\n".join(lines)

    def stop(self) -> None:
        """End the shell and what it started, from any thread. Harmless when repeated."""
        self._process.stop(_STOP_GRACE_SECONDS)

    def close(self) -> None:
        """End the shell after its last command, with everything that it left running."""
        self.stop()
        os.close(self._pipe)
        for line in self._lines:
            self._write(line)
