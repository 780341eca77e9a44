"""The shell in which a build runs."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from local_aws.codebuild.shell import Shell
from local_aws.process.register import ProcessRegister
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("name", ["sh", "bash"])
def test_a_stop_ends_the_shell_by_sigterm(tmp_path: Path, name: str) -> None:
    """Also one that waits for a command: nobody has to wait for the SIGKILL after the grace time."""
    lines: list[str] = []
    environment = {"PATH": os.environ["PATH"]}
    shell = Shell(name, tmp_path / "commands", tmp_path, environment, ProcessRegister(tmp_path / "run"), lines.append)
    with ThreadPoolExecutor(1) as pool:
        status = pool.submit(shell.run, "echo begun; sleep 600")
        wait_until(lambda: lines == ["begun"], "the command runs")

        shell.stop()

        assert status.result(20) == 143
    shell.close()
