"""Where the stack keeps what it makes: one folder inside the checkout.

Owns the layout of ``.local`` and the lock that lets one stack at a time use it.
"""

from __future__ import annotations

import fcntl
import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from local_stack.errors import AlreadyRunningError, StackError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CHECKOUT", "Home"]

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Home:
    """The folders and files of one stack.

    :param root: the folder that holds all of it; ``.local`` of the checkout unless a test says otherwise
    :param cache: what outlives a stack, and may be shared: the environments that container images were given
    """

    root: Path = CHECKOUT / ".local"
    cache: Path = CHECKOUT / ".local" / "cache"

    @property
    def airflow(self) -> Path:
        """``AIRFLOW_HOME``."""
        return self.root / "airflow"

    @property
    def database(self) -> Path:
        """The SQLite file of this life of the stack."""
        return self.airflow / "airflow.db"

    @property
    def empty_database(self) -> Path:
        """A migrated, empty database; every start begins with a copy of it."""
        return self.root / "empty-airflow.db"

    @property
    def logs(self) -> Path:
        """Output of the parts, one file each."""
        return self.root / "logs"

    @property
    def aws_state(self) -> Path:
        """What the local AWS keeps while it lives."""
        return self.root / "aws"

    @property
    def registry(self) -> Path:
        """The registry's content and port, for runs with Docker; kept, and not shared, since one registry writes it."""
        return self.root / "registry"

    @property
    def processes(self) -> Path:
        """Which processes this stack started, for the next start to clean up after a crash."""
        return self.root / "processes.json"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the home for this process; raise AlreadyRunningError when another stack holds it."""
        self.root.mkdir(parents=True, exist_ok=True)
        holder = self.root / "lock"
        with holder.open("a+") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                message = f"a stack already runs in {self.root} ({lock.read().strip()}): stop it first, or use its UI"
                raise AlreadyRunningError(message) from None
            try:
                yield
            finally:
                lock.truncate(0)

    def note_holder(self, text: str) -> None:
        """Say in the lock file who holds the home; shown to whoever finds it locked."""
        (self.root / "lock").write_text(text)

    def clear(self) -> None:
        """Remove what an earlier life left, but for the cache, the registry and the empty database.

        :raises StackError: something cannot be removed, for example files of root's that a crash left
        """
        for folder in (self.airflow, self.logs, self.aws_state):
            # What was killed a moment ago may still write: the second look decides.
            shutil.rmtree(folder, ignore_errors=True)
            try:
                if folder.exists():
                    shutil.rmtree(folder)
                folder.mkdir(parents=True)
            except OSError as error:
                raise StackError(
                    f"{folder} cannot be emptied ({error}): try again in a moment; if that does not help, remove it, "
                    "as root if files in it are root's"
                ) from error
