"""Compare the task for an unchanged image with ``docker build`` and ``docker push`` of the same unchanged tree.

Both work on the project's own ``container/``, with one engine and one registry, and take turns. The image is built and
pushed once before, and not measured, so the engine has everything in its cache, which is the best case of the two
commands. The task's time is that of ``execute`` in a fresh interpreter, as each Airflow task has one, with every client
made anew, and, in a row of its own, that of the whole process with its imports; that of the
commands is theirs as a shell sees it. Bytes are what either side sends to the engine, to AWS and
to the registry, counted by relays in front of the three. Run by ``make bench``; where there is no engine it says so and
measures nothing.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from relay import Relay, relay

from sagemaker_byoc.build_context import BuildContext
from sagemaker_byoc.hooks.builder import find_bases, make_builder
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.image import BuilderSettings
from sagemaker_byoc.image_build import ImageOrder
from tests.support.docker_cloud import DockerCloud, docker_cloud
from tests.support.docker_registry import remove_images, require_docker
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHECKOUT = Path(__file__).resolve().parents[1]
ROUNDS = 9
REPOSITORY = "unchanged"
ARGUMENTS = {"BASE_IMAGE": os.environ["BASE_IMAGE"]} if "BASE_IMAGE" in os.environ else {}
TASK = """
import json, sys, time
from sagemaker_byoc.operators.image import BuildPushImageOperator
from tests.support.task_run import TaskRun
task = BuildPushImageOperator(task_id="build", aws_conn_id=None, builder="docker", **json.loads(sys.argv[1]))
run = TaskRun()
start = time.perf_counter()
uri = run.of(task)
print(json.dumps([time.perf_counter() - start, uri]))
"""


@dataclass
class Side:
    """What one of the two took, a value for each round."""

    seconds: list[float] = field(default_factory=list)
    sent_bytes: list[int] = field(default_factory=list)

    def measure(self, run: Callable[[], float], counters: Sequence[Relay]) -> None:
        """Run once, and note the seconds that it tells and the bytes that went through all relays meanwhile."""
        before = sum(counter.sent_bytes for counter in counters)
        self.seconds.append(run())
        self.sent_bytes.append(sum(counter.sent_bytes for counter in counters) - before)


def main() -> None:
    """Measure and print the table."""
    try:
        require_docker()
    except pytest.skip.Exception as reason:
        print(f"no-change build: skipped, {reason}")
        return
    with tempfile.TemporaryDirectory() as folder, docker_cloud(Path(folder)) as cloud, ExitStack() as relays:
        counters = stand_between(cloud, Path(folder), relays)
        name = f"{address(counters[-1])}/{REPOSITORY}"
        relays.callback(remove_images, cloud.docker, name)
        digest = seed(cloud, name)
        task, commands, process_seconds = Side(), Side(), list[float]()
        for _ in range(ROUNDS):
            start = time.perf_counter()
            task.measure(lambda: run_task(digest), counters)
            process_seconds.append(time.perf_counter() - start)
            commands.measure(lambda: run_commands(f"{name}:latest"), counters)
    report(task, Side(process_seconds, task.sent_bytes), commands)


def stand_between(cloud: DockerCloud, folder: Path, relays: ExitStack) -> list[Relay]:
    """Put a relay in front of engine, AWS and registry, and lead both sides through them."""
    engine = urlsplit(os.environ.get("DOCKER_HOST", "")).path or "/var/run/docker.sock"
    servers: list[tuple[str | tuple[str, int], Path | None]] = [
        (engine, folder / "engine.sock"),
        (tcp(cloud.endpoint_url), None),
        (tcp(f"//{cloud.registry}"), None),
    ]
    counters = [relays.enter_context(relay(server, path)) for server, path in servers]
    os.environ |= {"AWS_ACCESS_KEY_ID": "local", "AWS_SECRET_ACCESS_KEY": "local", "AWS_DEFAULT_REGION": cloud.region}
    os.environ |= {"DOCKER_HOST": f"unix://{folder}/engine.sock", "AWS_ENDPOINT_URL": f"http://{address(counters[1])}"}
    return counters


def tcp(url: str) -> tuple[str, int]:
    """Return host and port of an address."""
    parts = urlsplit(url)
    return str(parts.hostname), int(parts.port or 80)


def address(counter: Relay) -> str:
    """Return ``host:port`` of a relay."""
    host, port = counter.listener.getsockname()
    return f"{host}:{port}"


def seed(cloud: DockerCloud, name: str) -> str:
    """Build and push the image under the tags that both sides look for; return its digest."""
    ecr = cloud.client("ecr")
    uri = ecr.create_repository(repositoryName=REPOSITORY)["repository"]["repositoryUri"]
    context = BuildContext(CHECKOUT / "container", build_args=ARGUMENTS)
    connection = AwsConnection(aws_conn_id=None)
    bases = find_bases(connection, make_builder("docker", connection, BuilderSettings()), context)
    tag = ImageOrder(context, uri, cloud.region, "", bases).tag
    for each in (tag, "latest"):
        run_commands(f"{name}:{each}")
    wanted = {"repositoryName": REPOSITORY, "imageIds": [{"imageTag": tag}]}
    [shown, *_] = wait_until(lambda: ecr.batch_get_image(**wanted)["images"], "ECR shows the image")
    return str(shown["imageId"]["imageDigest"])


def run_commands(name: str) -> float:
    """Do what a script without this provider does; return the seconds that it took."""
    arguments = [f"--build-arg={key}={value}" for key, value in ARGUMENTS.items()]
    start = time.perf_counter()
    for command in (["build", "--tag", name, *arguments, str(CHECKOUT / "container")], ["push", name]):
        subprocess.run(["docker", *command], check=True, capture_output=True)
    return time.perf_counter() - start


def run_task(digest: str) -> float:
    """Run the operator in a fresh interpreter; return the seconds that ``execute`` took."""
    settings = {"context_path": str(CHECKOUT / "container"), "repository": REPOSITORY, "build_args": ARGUMENTS}
    command = [sys.executable, "-W", "ignore", "-c", TASK, json.dumps(settings)]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=CHECKOUT)
    seconds, uri = json.loads(ran.stdout.splitlines()[-1])
    if not uri.endswith(digest):
        raise SystemExit(f"the task returned {uri}, and not the image {digest} that was pushed before")
    return float(seconds)


def report(task: Side, process: Side, commands: Side) -> None:
    """Print a row for each side and one for the task's whole process, and the ratios of the medians."""
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {ROUNDS} rounds each\n")
    print(
        f"{'unchanged tree':<28} {'median s':>9} {'min s':>8} {'max s':>8} {'bytes sent':>12} {'min':>10} {'max':>10}"
    )
    rows = {"BuildPushImageOperator": task, "its whole process": process, "docker build && docker push": commands}
    for name, side in rows.items():
        seconds = f"{statistics.median(side.seconds):>9.3f} {min(side.seconds):>8.3f} {max(side.seconds):>8.3f}"
        sent = f"{statistics.median(side.sent_bytes):>12,.0f} {min(side.sent_bytes):>10,} {max(side.sent_bytes):>10,}"
        print(f"{name:<28} {seconds} {sent}")
    faster = statistics.median(commands.seconds) / statistics.median(task.seconds)
    fewer = statistics.median(commands.sent_bytes) / statistics.median(task.sent_bytes)
    print(f"\ncommands over task: {faster:.1f} times the time, {fewer:.1f} times the bytes")


if __name__ == "__main__":
    main()
