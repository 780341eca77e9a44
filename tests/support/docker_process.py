"""The local AWS with the Docker engine as a process of its own: one that can be killed, or belong to another user."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import sysconfig
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from local_aws.docker_engine.leftover import label_of, remove_leftovers
from local_stack.home import CHECKOUT
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from tests.support.docker_cloud import DockerCloud

__all__ = ["PACKAGES", "RunningLocalAws", "running_local_aws"]

PACKAGES = os.pathsep.join([str(CHECKOUT / "include"), sysconfig.get_path("purelib")])
"""Where a Python finds the local AWS and what it needs, also one that is not of this environment."""


@dataclass
class RunningLocalAws:
    """A local AWS in another process, on the registry and the engine of the test's own.

    :param cloud: as a test sees it
    """

    process: subprocess.Popen[str]
    cloud: DockerCloud

    def in_engine(self) -> list[str]:
        """Return the ids of its containers and networks."""
        api: Any = self.cloud.docker.api
        selection = {"label": f"local-aws={label_of(self.cloud.state_dir)}"}
        return [item["Id"] for item in [*api.containers(all=True, filters=selection), *api.networks(filters=selection)]]

    def kill(self, *, with_watchdog: bool) -> None:
        """End it as `kill -9` does."""
        if with_watchdog:
            answer = subprocess.run(["pgrep", "-P", str(self.process.pid)], capture_output=True, text=True, check=True)
            for child in answer.stdout.split():
                os.kill(int(child), signal.SIGKILL)
        self.process.kill()
        self.process.wait()


@contextmanager
def running_local_aws(
    cloud: DockerCloud, directory: Path, python: Sequence[str] = (sys.executable,)
) -> Iterator[RunningLocalAws]:
    """Run a local AWS until the block ends.

    :param cloud: whose registry and engine it uses
    :param directory: keeps its state from one life to the next
    :param python: the words that start a Python, perhaps as another user
    """
    ready, state = directory / "ready.json", directory / "state"
    ready.unlink(missing_ok=True)
    command = [*python, "-m", "local_aws", "--port", "0", "--engine", "docker"]
    options = ["--registry", cloud.registry, "--state-dir", str(state), "--ready-file", str(ready)]
    with subprocess.Popen(
        [*command, *options, "--stop-grace-seconds", "1"],
        env={**os.environ, "PYTHONPATH": PACKAGES, "HOME": str(directory)},
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            wait_until(lambda: ready.exists() or process.poll() is not None, "the local AWS is ready", 60.0)
            address = json.loads(ready.read_text())["endpoint_url"]
            yield RunningLocalAws(process, replace(cloud, endpoint_url=address, state_dir=state))
        finally:
            process.terminate()
            process.wait()
            # Also after a test that failed to see them gone.
            remove_leftovers(cloud.docker.api, label_of(state))
