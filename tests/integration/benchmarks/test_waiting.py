"""The benchmarks of waits, in a size that shows that they run, and measures nothing."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

from local_stack.home import CHECKOUT

STOCK = pytest.param(
    "stock",
    marks=pytest.mark.skipif(
        not (CHECKOUT / ".venv-stock").exists(), reason="make bench makes the stock provider's environment"
    ),
)


def run(script: str, *arguments: str) -> list[str]:
    """Run a benchmark in its quick size; return the lines that it prints."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(("plugins", "include", "."))}
    command = [sys.executable, "-W", "ignore", f"benchmarks/{script}", "--quick", *arguments]
    ran = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.splitlines()


@pytest.mark.parametrize("side", ["ours", STOCK])
def test_waits_are_really_made_by_the_triggerer(side: str) -> None:
    """Each of the twenty jobs is looked at, and no wait ends."""
    lines = run("waits.py", "--sides", side)
    heading = next(number for number, line in enumerate(lines) if "jobs ever described" in line)
    assert re.search(r"\s20\s", lines[heading + 1])


@pytest.mark.parametrize("kind", ["ours", "ours-events-without-logs"])
def test_the_end_of_a_wait_is_seen(kind: str) -> None:
    """All ten are over, and none before its job was."""
    lines = run("detection.py", "--kinds", kind)
    [row] = [line for line in lines if re.search(r"(success|scheduled) 10$", line)]
    assert float(re.findall(r"\d+\.\d+", row)[0]) > 0


def test_workers_of_the_chain_are_counted() -> None:
    """A task that creates something needs a worker's process, and each of them holds it for a while."""
    lines = run("chain.py", "--sides", "ours")
    [row] = [line for line in lines if line.startswith("ours")]
    wall, _, _, processes, held = (float(number) for number in re.findall(r"\d+\.?\d*", row))
    assert processes >= 3
    assert held > 1
    assert wall > 1
