"""Compare a training job that does nothing, on the local AWS with the Docker engine, with a bare ``docker run``.

All run the same image, taking turns. Each job has a network of its own, so ``docker run`` on a network made for it
stands between the two; what is left is the local AWS's own. The job's time is that of its request, with the calls that
put its data into S3, to the answer that it is completed; its statuses tell where the time goes. Run by ``make bench``;
where there is no engine it says so and measures nothing.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from tests.support.docker_cloud import DockerCloud, docker_cloud
from tests.support.docker_registry import require_docker

ROUNDS = 15
OURS = f"engine-overhead-{os.getpid()}"
PROGRAM = {"train": "#!/bin/sh\n"}
POLL_SECONDS = 0.01


def main() -> None:
    """Measure and print the tables, or say why not."""
    try:
        require_docker()
    except pytest.skip.Exception as reason:
        print(f"engine overhead is not measured: {reason}")
        return
    with tempfile.TemporaryDirectory() as directory, docker_cloud(Path(directory)) as cloud:
        image = cloud.push("no-op", PROGRAM)
        name = cloud.engine.resolve(image).replace(image.partition("/")[0], cloud.registry)
        cloud.run_job("warm-up", image)
        times: dict[str, list[float]] = {"docker run": [], "on its own network": [], "training job": []}
        phases = []
        for number in range(ROUNDS):
            times["docker run"].append(seconds_of_run(name))
            times["on its own network"].append(seconds_of_run_on_network(name, f"{OURS}-{number}"))
            seconds, description = seconds_of_job(cloud, f"no-op-{number}", image)
            times["training job"].append(seconds)
            phases.append(phase_seconds(description))
    report(times, phases)


def seconds_of_run(name: str) -> float:
    """Return how long ``docker run`` of an image takes, until the container is removed."""
    start = time.perf_counter()
    subprocess.run(["docker", "run", "--rm", name, "train"], check=True)
    return time.perf_counter() - start


def seconds_of_run_on_network(name: str, network: str) -> float:
    """Return the same with a network that is made before and removed after."""
    start = time.perf_counter()
    subprocess.run(["docker", "network", "create", network], check=True, stdout=subprocess.DEVNULL)
    try:
        subprocess.run(["docker", "run", "--rm", "--network", network, name, "train"], check=True)
    finally:
        subprocess.run(["docker", "network", "rm", network], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def seconds_of_job(cloud: DockerCloud, name: str, image: str) -> tuple[float, dict[str, Any]]:
    """Return how long a job takes from the request to its end, and its description."""
    sagemaker = cloud.client("sagemaker")
    start = time.perf_counter()
    cloud.create_job(name, image)
    while True:
        job: dict[str, Any] = sagemaker.describe_training_job(TrainingJobName=name)
        if job["TrainingJobStatus"] != "InProgress":
            break
        time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - start
    if job["TrainingJobStatus"] != "Completed":
        sys.exit(f"the job {name} ended as {job['TrainingJobStatus']}: {job.get('FailureReason')}")
    return seconds, job


def phase_seconds(job: dict[str, Any]) -> dict[str, float]:
    """Return how long a job was in each secondary status, those before its data and its image taken together."""
    seconds: dict[str, float] = {}
    for step, following in pairwise(job["SecondaryStatusTransitions"]):
        lasted = (following["StartTime"] - step["StartTime"]).total_seconds()
        seconds[step["Status"]] = seconds.get(step["Status"], 0.0) + lasted
    return seconds


def report(times: dict[str, list[float]], phases: list[dict[str, float]]) -> None:
    """Print medians, their ratio and difference, and the median of each phase."""
    base = statistics.median(times["docker run"])
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {ROUNDS} rounds each\n")
    print(f"{'a no-op':<24} {'median s':>9} {'min s':>8} {'max s':>8} {'over docker run s':>18} {'ratio':>7}")
    for what, seconds in times.items():
        median = statistics.median(seconds)
        spread = f"{median:>9.3f} {min(seconds):>8.3f} {max(seconds):>8.3f}"
        print(f"{what:<24} {spread} {median - base:>18.3f} {median / base:>7.2f}")
    print(f"\n{'of the job in status':<24} {'median s':>9}")
    for status in phases[0]:
        print(f"{status:<24} {statistics.median(phase[status] for phase in phases):>9.3f}")


if __name__ == "__main__":
    main()
