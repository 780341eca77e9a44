"""A real registry on loopback, and an ECR that tells what is in it.

The registry is Debian's ``docker-registry``; ECR is the table of answers, whose images are those that the registry
holds.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

from tests.support.fake_aws import AwsSays
from tests.support.fake_build import FakeBuild

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.fake_aws import FakeAws

__all__ = ["RegistryBackedEcr", "registry", "unavailable"]

START_SECONDS = 30.0
_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


def unavailable(reason: str) -> NoReturn:
    """Skip the test, or fail it where REQUIRE_DOCKER=1 says that the machine must have everything."""
    if os.environ.get("REQUIRE_DOCKER") == "1":
        pytest.fail(f"REQUIRE_DOCKER=1, but {reason}", pytrace=False)
    pytest.skip(reason)


@contextmanager
def registry(directory: Path) -> Iterator[str]:
    """Run a registry without login; yield ``host:port``."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(directory / "registry")}},
        "http": {"addr": address},
    }
    (directory / "registry.json").write_text(json.dumps(config))
    with (directory / "registry.log").open("wb") as log:
        command = ["docker-registry", "serve", str(directory / "registry.json")]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(address, process)
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        try:
            status, _ = ask(address, "/v2/")
        except OSError:
            time.sleep(0.05)
            continue
        assert status == 200
        return
    raise AssertionError(f"docker-registry did not come up at {address}")


def ask(address: str, path: str, method: str = "GET") -> tuple[int, Any]:
    """Return the status and, of a HEAD, the digest, otherwise the JSON."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request(method, path, headers={"Accept": _MANIFEST})
        answer = connection.getresponse()
        body = answer.read()
        return answer.status, answer.headers["Docker-Content-Digest"] if method == "HEAD" else json.loads(body)
    finally:
        connection.close()


class RegistryBackedEcr(FakeBuild):
    """ECR whose images lie in a registry on loopback.

    :param address: of the registry
    """

    def __init__(self, aws: FakeAws, address: str) -> None:
        super().__init__(aws)
        self.address = address
        self.registry_endpoint = f"http://{address}"

    def digest(self, name: str, tag: str) -> str | None:
        """Return what the registry itself says."""
        status, digest = ask(self.address, f"/v2/{name}/manifests/{tag}", "HEAD")
        return str(digest) if status == 200 else None

    def _describe_images(self, **request: Any) -> dict[str, Any]:
        name = request["repositoryName"]
        if "imageIds" not in request:
            _, listed = ask(self.address, f"/v2/{name}/tags/list")
            for tag in listed.get("tags") or []:
                self.take(tag)
            return super()._describe_images(**request)
        tag = request["imageIds"][0]["imageTag"]
        digest = self.digest(name, tag)
        if digest is None:
            raise AwsSays("ImageNotFoundException", f"The image with imageId {tag} does not exist")
        return {"imageDetails": [{"imageDigest": digest, "imageTags": [tag]}]}
