"""What tests with a real Docker engine stand on: the engine, a registry on loopback, and a root folder for images.

Owns the start of a registry and the list of what a machine must have. The registry is Debian's ``docker-registry``.
"""

from __future__ import annotations

import base64
import http.client
import io
import json
import shutil
import socket
import subprocess
import tarfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docker

from local_aws.registry.configuration import registry_configuration
from tests.support.requirement import skip_or_fail

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ask",
    "busybox_root",
    "free_address",
    "registry",
    "remove_images",
    "remove_with_descendants",
    "require_docker",
]

START_SECONDS = 30.0
_BUSYBOX = Path("/bin/busybox")
_APPLETS = "sh cat chown df grep head hostname id ip kill ls mkdir mount nc nslookup printf sleep tail tr wc"
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def require_docker() -> None:
    """Skip unless there is all that these tests need; with REQUIRE_DOCKER=1 fail instead."""
    needed = {
        "no Docker engine answers (set DOCKER_HOST or start dockerd)": _engine_answers(),
        "there is no docker-registry on PATH (apt-get install docker-registry)": shutil.which("docker-registry"),
        "there is no static /bin/busybox (apt-get install busybox-static)": _is_static(_BUSYBOX),
    }
    missing = "; ".join(reason for reason, is_there in needed.items() if not is_there)
    if missing:
        skip_or_fail(missing)


def _engine_answers() -> bool:
    try:
        client = docker.from_env()
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except docker.errors.DockerException:
        return False
    finally:
        client.close()


def _is_static(program: Path) -> bool:
    return program.is_file() and b"ld-linux" not in program.read_bytes()[:4096]


def free_address() -> str:
    """Return ``host:port`` on loopback where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


@contextmanager
def registry(directory: Path, address: str = "", *, lock: str = "") -> Iterator[str]:
    """Run a registry until the block ends; yield ``host:port``.

    :param address: where it listens; a free port by default
    :param lock: a line of an htpasswd file; without one nobody has to log in
    """
    address = address or free_address()
    file = directory / "registry.json"
    configuration = json.loads(registry_configuration(address, directory / "registry"))
    if lock:
        (directory / "htpasswd").write_text(lock)
        configuration["auth"] = {"htpasswd": {"realm": "tests", "path": str(directory / "htpasswd")}}
    file.write_text(json.dumps(configuration))
    with (directory / "registry.log").open("wb") as log:
        process = subprocess.Popen(["docker-registry", "serve", str(file)], stdout=log, stderr=log)
    try:
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            status, _ = ask(address, "/v2/")
        except OSError:
            time.sleep(0.05)
            continue
        assert status in (200, 401)
        return
    raise AssertionError(f"docker-registry did not come up at {address}")


def ask(address: str, path: str, method: str = "GET", password: str = "") -> tuple[int, Any]:
    """Return the status and, of a HEAD, the digest, otherwise the JSON.

    :param password: of the user ``AWS``
    """
    headers = {"Accept": _MANIFEST}
    if password:
        headers["Authorization"] = "Basic " + base64.b64encode(f"AWS:{password}".encode()).decode()
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, answer.headers["Docker-Content-Digest"] if method == "HEAD" else json.loads(body)
    finally:
        connection.close()


def busybox_root(programs: Mapping[str, str] | None = None) -> bytes:
    """Return a tar archive of a root folder with a shell and the usual programs.

    :param programs: shell scripts, name in ``/usr/local/bin`` → text
    """
    files = {"bin/busybox": _BUSYBOX.read_bytes(), "etc/passwd": b"root:x:0:0:root:/:/bin/sh\n", "tmp/.keep": b""}
    files |= {f"usr/local/bin/{name}": text.encode() for name, text in (programs or {}).items()}
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o755
            tar.addfile(member, io.BytesIO(content))
        for applet in _APPLETS.split():
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
    return buffer.getvalue()


def remove_images(client: Any, prefix: str) -> None:
    """Take those names off the engine's images; layers that nothing else needs go with them."""
    for image in client.api.images():
        tags, digests = (
            [name for name in image[kind] or () if name.startswith(prefix)] for kind in ("RepoTags", "RepoDigests")
        )
        # A digest goes with the last tag of its repository.
        for name in tags or digests:
            with suppress(docker.errors.ImageNotFound):  # it went with another of its names
                client.api.remove_image(name, force=True)


def remove_with_descendants(client: Any, name: str) -> None:
    """Remove an image and what was built on it, such as the layers of builds that failed."""
    parents = {image["Id"]: image["ParentId"] for image in client.api.images(all=True)}
    family = [client.images.get(name).id]
    for member in family:
        family += [child for child, parent in parents.items() if parent == member]
    for member in reversed(family):
        with suppress(docker.errors.ImageNotFound):  # it went with the last of its children
            client.api.remove_image(member, force=True)
