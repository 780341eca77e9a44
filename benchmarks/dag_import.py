"""Compare the import of the retraining DAG with that of an empty DAG and of the same chain from stock operators.

Each import runs in a fresh interpreter, the three take turns, and the medians are compared: what an import costs is
what the dag processor pays each time it parses the file. Run by ``make bench``.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
ROUNDS = 15
TIMER = "import time; start = time.perf_counter(); {}; print(time.perf_counter() - start)"
IMPORTS = {
    "empty DAG": "from airflow.sdk import DAG; DAG('empty')",
    "retraining DAG": "import sagemaker_retrain",
    "stock operators": "from airflow.sdk import DAG; DAG('stock'); import "
    "airflow.providers.amazon.aws.operators.sagemaker",
}


def main() -> None:
    """Measure and print the table."""
    seconds: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(ROUNDS):
        for name, statement in IMPORTS.items():
            seconds[name].append(timed(statement))
    medians = {name: statistics.median(times) for name, times in seconds.items()}
    base = medians["empty DAG"]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {ROUNDS} rounds each\n")
    print(f"{'import of':<18} {'median s':>9} {'min s':>8} {'max s':>8} {'over empty s':>13} {'ratio':>7}")
    for name, times in seconds.items():
        median = medians[name]
        spread = f"{median:>9.3f} {min(times):>8.3f} {max(times):>8.3f}"
        print(f"{name:<18} {spread} {median - base:>13.3f} {median / base:>7.3f}")


def timed(statement: str) -> float:
    """Return the seconds that a statement takes in a fresh interpreter that knows dags and plugins."""
    path = os.pathsep.join(str(CHECKOUT / folder) for folder in ("plugins", "dags"))
    environment = os.environ | {"PYTHONPATH": path}
    command = [sys.executable, "-W", "ignore", "-c", TIMER.format(statement)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return float(ran.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
