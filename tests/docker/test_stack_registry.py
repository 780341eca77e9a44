"""The stack's registry where there is no program for it: a container."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker
import pytest

from local_stack.engine import EngineChoice
from local_stack.home import Home
from local_stack.process import Processes
from local_stack.registry import RegistryPart
from tests.support.docker_cloud import require_docker
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator

IMAGE = "sagemaker-byoc-test-registry:1"
CONFIGURATION = {
    "version": 0.1,
    "storage": {"filesystem": {"rootdirectory": "/var/lib/registry"}},
    "http": {"addr": ":5001"},
}


@pytest.fixture(scope="module")
def engine() -> Iterator[Any]:
    """Return the engine, with an image that has the outside of ``registry:2``: its variables, port and volume."""
    require_docker()
    client = docker.from_env()
    command = "CMD " + json.dumps(["/usr/bin/docker-registry", "serve", "/etc/registry.json"])
    client.api.import_image_from_data(registry_file_system(), *IMAGE.split(":"), changes=[command])
    yield client
    client.images.remove(IMAGE, force=True)
    client.close()


def registry_file_system() -> bytes:
    """Return a root directory with this machine's registry program and the libraries that it needs."""
    program = shutil.which("docker-registry")
    assert program
    needed = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout.split()
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for path in [word for word in needed if word.startswith("/")]:
            archive.add(Path(path).resolve(), path.lstrip("/"))
        archive.add(Path(program).resolve(), "usr/bin/docker-registry")
        content = json.dumps(CONFIGURATION).encode()
        member = tarfile.TarInfo("etc/registry.json")
        member.size, member.mode = len(content), 0o644
        archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """Return a home of the test's own."""
    home = Home(tmp_path / "home", tmp_path / "cache")
    home.clear()
    return home


def start(home: Home) -> tuple[RegistryPart, Processes]:
    """Start the registry as the stack does."""
    part = RegistryPart(home, EngineChoice("docker", "", None, IMAGE))
    processes = Processes(home.processes, home.logs)
    part.remove()
    processes.start("registry", part.command(), os.environ, home.root)

    def answers() -> bool:
        processes.check()
        return part.answers()

    wait_until(answers, "the registry answers")
    return part, processes


def containers(engine: Any) -> list[Any]:
    """Return the containers of that image, running or not."""
    return list(engine.containers.list(all=True, filters={"ancestor": IMAGE}))


def test_it_listens_on_loopback_as_the_user_and_ends_with_the_stack(engine: Any, home: Home) -> None:
    """A polite end is enough to remove the container; the content stays, and so does the port."""
    part, processes = start(home)
    try:
        (container,) = containers(engine)
        host, _, port = part.address.rpartition(":")
        assert container.attrs["HostConfig"]["PortBindings"] == {"5000/tcp": [{"HostIp": host, "HostPort": port}]}
        assert container.attrs["Config"]["User"] == f"{os.geteuid()}:{os.getegid()}"
        assert any(label.startswith("local-stack") for label in container.labels)
    finally:
        processes.stop()
    wait_until(lambda: not containers(engine), "the container is removed")

    assert (home.registry / "storage").is_dir()
    assert RegistryPart(home, EngineChoice("docker", "")).address == part.address


def test_the_next_start_removes_what_a_crash_left(engine: Any, home: Home) -> None:
    """The command that ran the container is killed, which leaves the container; a start makes room for its own."""
    _, processes = start(home)
    processes.running["registry"].kill()
    processes.running["registry"].wait()
    (left,) = containers(engine)

    part, processes = start(home)
    (running,) = containers(engine)
    processes.stop()
    part.remove()

    assert running.id != left.id
    assert containers(engine) == []
