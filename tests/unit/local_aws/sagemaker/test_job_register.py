"""Jobs by their names."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import pytest

from local_aws.errors import AwsError
from local_aws.sagemaker.job_register import JobRegister

TAKEN = AwsError("ResourceInUse", "taken")


@dataclass
class _State:
    is_terminal: bool = False


@dataclass
class _Run:
    together: threading.Barrier | None = None
    is_closed: bool = False

    def close(self) -> None:
        """Wait for the others that are being closed."""
        if self.together:
            self.together.wait(5)
        self.is_closed = True


@dataclass
class _Job:
    state: _State = field(default_factory=_State)
    run: _Run = field(default_factory=_Run)


def test_a_name_is_given_once_and_given_free() -> None:
    """Nothing is made for the second who wants it."""
    jobs: JobRegister[_Job] = JobRegister()
    jobs.refuse_taken("a", TAKEN)
    first = jobs.add("a", _Job, TAKEN)
    with pytest.raises(AwsError):
        jobs.refuse_taken("a", TAKEN)
    with pytest.raises(AwsError):
        jobs.add("a", lambda: pytest.fail("it was made"), TAKEN)
    assert (jobs.find("a"), jobs.all()) == (first, [first])
    jobs.remove("a")
    assert jobs.find("a") is None
    assert jobs.add("a", _Job, TAKEN) is not first


def test_running_jobs_are_ended_at_once_and_others_left_alone() -> None:
    """Each may need its grace, and the local AWS waits for all."""
    jobs: JobRegister[_Job] = JobRegister()
    together = threading.Barrier(2)
    running = [jobs.add(name, lambda: _Job(run=_Run(together)), TAKEN) for name in ("a", "b")]
    ended = jobs.add("c", lambda: _Job(_State(is_terminal=True)), TAKEN)
    jobs.close()
    assert [job.run.is_closed for job in (*running, ended)] == [True, True, False]
