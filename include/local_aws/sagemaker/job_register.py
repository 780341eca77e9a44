"""The jobs of one kind by their names.

Owns who gets a name, and the end of all jobs when the local AWS goes down. Must not know what a job does, nor how AWS
words a refusal.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.errors import AwsError

__all__ = ["JobRegister"]


class _State(Protocol):
    @property
    def is_terminal(self) -> bool: ...


class _Run(Protocol):
    def close(self) -> None: ...


class _Job(Protocol):
    @property
    def state(self) -> _State: ...

    @property
    def run(self) -> _Run: ...


Job = TypeVar("Job", bound=_Job)


class JobRegister(Generic[Job]):
    """Jobs by name; safe to use from several threads."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    def all(self) -> list[Job]:
        """Return every job."""
        with self._lock:
            return list(self._jobs.values())

    def find(self, name: str) -> Job | None:
        """Return the job of this name; None when there is none."""
        with self._lock:
            return self._jobs.get(name)

    def refuse_taken(self, name: str, refusal: AwsError) -> None:
        """Raise the refusal when a job has this name."""
        if self.find(name) is not None:
            raise refusal

    def add(self, name: str, make: Callable[[], Job], refusal: AwsError) -> Job:
        """Make a job and return it; of two that want a name at once, the second is refused.

        :param make: called only if the name is free
        """
        with self._lock:
            if name in self._jobs:
                raise refusal
            self._jobs[name] = job = make()
        return job

    def remove(self, name: str) -> None:
        """Give the name free."""
        with self._lock:
            self._jobs.pop(name, None)

    def close(self) -> None:
        """End every running job, all at once."""
        running = [job for job in self.all() if not job.state.is_terminal]
        threads = [threading.Thread(target=job.run.close, daemon=True) for job in running]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
