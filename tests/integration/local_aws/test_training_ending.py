"""What an engine knows of a container's end becomes the job's FailureReason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from local_aws.container import Ending
from tests.support.fake_engine import FakeEngine
from tests.support.local_cloud import local_cloud
from tests.support.training import TrainingAccount

if TYPE_CHECKING:
    from pathlib import Path

_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data processed on an "
    "instance."
)
_LOST = (
    "InternalServerError: We encountered an internal error. Please try again. "
    "(the engine went away while the container ran)"
)
_NOTE = "(base / 'output/failure').write_text('a worker died')\n"


@pytest.mark.parametrize(
    ("ending", "program", "reason"),
    [
        (Ending.OUT_OF_MEMORY, "os.kill(os.getpid(), signal.SIGKILL)", _MEMORY),
        (Ending.OUT_OF_MEMORY, _NOTE + "sys.exit(3)", "AlgorithmError: a worker died, exit code: 3"),
        (Ending.LOST, _NOTE + "sys.exit(3)", _LOST),
        (Ending.OWN, _NOTE + "sys.exit(3)", "AlgorithmError: a worker died, exit code: 3"),
    ],
)
def test_the_reason_tells_what_ended_the_container(tmp_path: Path, ending: Ending, program: str, reason: str) -> None:
    """A program's own words go before the kernel's; where the engine went away, neither is known."""
    with local_cloud(tmp_path, engine=FakeEngine(tmp_path, ending=ending)) as cloud:
        job = TrainingAccount(cloud).run(program)

    assert (job["TrainingJobStatus"], job["FailureReason"]) == ("Failed", reason)


def test_a_program_that_lost_a_worker_to_the_kernel_may_complete(tmp_path: Path) -> None:
    """Exit code 0 is success, whatever happened before."""
    with local_cloud(tmp_path, engine=FakeEngine(tmp_path, ending=Ending.OUT_OF_MEMORY)) as cloud:
        assert TrainingAccount(cloud).run()["TrainingJobStatus"] == "Completed"
