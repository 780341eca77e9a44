"""That no container outlives the local AWS."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

from local_aws.process.register import ProcessRegister, started_at
from local_aws.process.watchdog import left_over
from tests.support.process_cloud import is_alive, wait_until

if TYPE_CHECKING:
    from pathlib import Path

_SLEEP = [sys.executable, "-c", "import time; time.sleep(60)"]

_OWNER = """
import pathlib, subprocess, sys
from local_aws.process.register import ProcessRegister
register = ProcessRegister(pathlib.Path(sys.argv[1]))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
register.add(child.pid)
print(child.pid, flush=True)
child.wait()
"""


def test_a_kill_of_the_owner_takes_its_groups_along(tmp_path: Path) -> None:
    """Even SIGKILL of the local AWS leaves no container behind."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", _OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=environment
    ) as owner:
        assert owner.stdout is not None
        child = int(owner.stdout.readline())
        assert is_alive(child)

        owner.send_signal(signal.SIGKILL)

        wait_until(lambda: not is_alive(child), "the container is gone")


def test_what_an_earlier_life_left_is_reaped(tmp_path: Path) -> None:
    """The next start ends a group that is noted and still the same one."""
    with subprocess.Popen(_SLEEP, start_new_session=True) as left:
        (tmp_path / f"{left.pid}.json").write_text(json.dumps({"started": started_at(left.pid)}))

        ProcessRegister(tmp_path).reap()

        assert left.wait(10) == -signal.SIGKILL
    assert not list(tmp_path.iterdir())


def test_a_stranger_with_an_old_number_is_left_alone(tmp_path: Path) -> None:
    """A process that only has the number of a container of an earlier life is not ours to end."""
    with subprocess.Popen(_SLEEP, start_new_session=True) as stranger:
        (tmp_path / f"{stranger.pid}.json").write_text(json.dumps({"started": "another time"}))
        (tmp_path / "broken.json").write_text("{")

        ProcessRegister(tmp_path).reap()

        assert stranger.poll() is None
        stranger.kill()
    assert [path.name for path in tmp_path.iterdir()] == ["broken.json"]


def test_a_group_that_ended_is_forgotten(tmp_path: Path) -> None:
    """Nothing of it stays on disk."""
    register = ProcessRegister(tmp_path / "running")
    with subprocess.Popen(_SLEEP, start_new_session=True) as child:
        register.add(child.pid)
        assert [path.name for path in (tmp_path / "running").iterdir()] == [f"{child.pid}.json"]
        child.kill()

    register.remove(child.pid)

    assert not list((tmp_path / "running").iterdir())


def test_the_watchdog_kills_only_what_was_not_taken_off() -> None:
    """Groups that were added and removed are no longer its business."""
    assert left_over(["+1\n", "+2\n", "-1\n", "+3\n", "-9\n"]) == {2, 3}
