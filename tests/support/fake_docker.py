"""A Docker engine as a table of answers, put in where docker-py would open its socket.

Everything up to the wire is real: docker-py's client, its requests and its reading of the engine's streams. The events
are those that an engine 20.10 sends.
"""

from __future__ import annotations

import base64
import io
import json
import os
import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock
from urllib.parse import parse_qs, unquote, urlsplit

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

__all__ = ["IMAGE_ID", "FakeDocker", "fake_docker", "step"]

IMAGE_ID = "sha256:" + "1" * 64
Events = list[dict[str, Any]]


def step(number: str, command: str, *printed: str) -> Events:
    """Return the events of one step."""
    return [{"stream": f"Step {number} : {command}"}, {"stream": "\n"}, *({"stream": each} for each in printed)]


class _Body(io.BytesIO):
    """A body as docker-py reads the engine's streams, which looks into ``http.client``."""

    def __init__(self, body: bytes, *, chunked: bool) -> None:
        super().__init__(body)
        self.chunked = chunked

    @property
    def chunk_left(self) -> int:
        return len(self.getbuffer()) - self.tell()


class FakeDocker(BaseAdapter):
    """An engine with an empty store.

    :param on_push: called with the reference when a push succeeds
    :param distributed: digests that registries tell, by the image's name; of others the registry does not answer
    :param not_distributed: names of images that their registries have not
    :param held: what inspection tells of images, by name
    """

    def __init__(self, on_push: Callable[[str], None]) -> None:
        super().__init__()
        self._on_push = on_push
        self.running = True
        self.forbidden = False
        self.build_status = 200
        self.build_events: Events = [
            *step("1/2", "FROM scratch", " ---> \n"),
            *step("2/2", "COPY train /", " ---> 1\n"),
            {"aux": {"ID": IMAGE_ID}},
            {"stream": "Successfully built 111111111111\n"},
        ]
        self.refusals: list[str] = []
        self.history = ["/bin/sh -c #(nop) COPY file:1 in /"]
        self.architecture = "amd64"
        self.made: set[str] = set()
        self.distributed: dict[str, str] = {}
        self.not_distributed: set[str] = set()
        self.held: dict[str, dict[str, Any]] = {"sha256:2": {"Id": "sha256:2", "Parent": ""}}
        self.logins: list[str] = []
        self.login_refusal = ""
        self.build_logins: list[dict[str, Any]] = []
        self.pullable = True
        self.builds: list[dict[str, Any]] = []
        self.contexts: list[dict[str, bytes]] = []
        self.pushes: list[tuple[str, dict[str, Any]]] = []
        self.pulls: list[str] = []

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        """Answer as the engine's HTTP interface does."""
        if not self.running:
            raise requests.ConnectionError("No such file or directory", request=request)
        if self.forbidden:
            cause = PermissionError(13, "Permission denied")
            raise requests.ConnectionError("Connection aborted.", cause, request=request)
        url = urlsplit(str(request.url))
        parts = url.path.split("/", 2)[-1] if url.path.startswith("/v1.") else url.path.lstrip("/")
        status, body = self._answer(unquote(parts), {k: v[0] for k, v in parse_qs(url.query).items()}, request)
        raw = HTTPResponse(_Body(body, chunked=status == 200), status=status, preload_content=False, reason="Said")
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Hold nothing open."""

    def _answer(self, path: str, query: dict[str, str], request: requests.PreparedRequest) -> tuple[int, bytes]:
        if path == "version":
            return 200, _json({"ApiVersion": "1.41", "Os": "linux", "Arch": "amd64"})
        if path == "_ping":
            return 200, b"OK"
        if path == "build":
            return self._build(query, request)
        if path == "auth":
            if self.login_refusal:
                return 401, _json({"message": self.login_refusal})
            assert isinstance(request.body, (str, bytes))
            self.logins.append(json.loads(request.body)["serveraddress"])
            return 200, _json({"Status": "Login Succeeded"})
        if path.startswith("distribution/"):
            return self._distribution(path.removeprefix("distribution/").removesuffix("/json"))
        if path == "images/create":
            return self._pull(f"{query['fromImage']}:{query['tag']}")
        name, _, verb = path.removeprefix("images/").rpartition("/")
        return {"push": self._push, "json": self._inspect, "history": self._history}[verb](name, query, request)

    def _build(self, query: dict[str, str], request: requests.PreparedRequest) -> tuple[int, bytes]:
        self.builds.append(query)
        logins = request.headers.get("X-Registry-Config", base64.urlsafe_b64encode(b"{}"))
        self.build_logins.append(json.loads(base64.urlsafe_b64decode(logins)))
        assert request.body is not None
        with tarfile.open(fileobj=io.BytesIO(request.body.read())) as archive:  # type: ignore[union-attr, arg-type]
            files = {member.name: archive.extractfile(member) for member in archive}
            self.contexts.append({name: file.read() for name, file in files.items() if file})
        if self.build_status != 200:
            return self.build_status, _json({"message": self.build_events[0]["error"]})
        return 200, _stream(self.build_events)

    def _push(self, name: str, query: dict[str, str], request: requests.PreparedRequest) -> tuple[int, bytes]:
        reference = f"{name}:{query['tag']}"
        auth = json.loads(base64.urlsafe_b64decode(request.headers["X-Registry-Auth"]))
        self.pushes.append((reference, auth))
        begun: Events = [
            {"status": f"The push refers to repository [{name}]"},
            {"status": "Preparing", "progressDetail": {}, "id": "35013c7b9889"},
            {"status": "Pushing", "progressDetail": {"current": 35840, "total": 1982305}, "id": "35013c7b9889"},
        ]
        if self.refusals:
            message = self.refusals.pop(0)
            return 200, _stream([*begun, {"errorDetail": {"message": message}, "error": message}])
        self._on_push(reference)
        digest = "sha256:" + "a" * 64
        ended: Events = [
            {"status": "Pushed", "progressDetail": {}, "id": "35013c7b9889"},
            {"status": f"{query['tag']}: digest: {digest} size: 528"},
            {"progressDetail": {}, "aux": {"Tag": query["tag"], "Digest": digest, "Size": 528}},
        ]
        return 200, _stream([*begun, *ended])

    def _pull(self, reference: str) -> tuple[int, bytes]:
        self.pulls.append(reference)
        if not self.pullable:
            return 404, _json({"message": f"manifest for {reference} not found"})
        return 200, _stream([{"status": f"Status: Downloaded newer image for {reference}"}])

    def _distribution(self, name: str) -> tuple[int, bytes]:
        if name in self.not_distributed:
            return 404, _json({"message": f"manifest for {name} not found: manifest unknown"})
        if name not in self.distributed:
            return 500, _json({"message": "dial tcp: lookup registry.example: no such host"})
        return 200, _json({"Descriptor": {"digest": self.distributed[name]}})

    def _inspect(self, name: str, *_: Any) -> tuple[int, bytes]:
        if name in self.held:
            return 200, _json(self.held[name])
        if name != IMAGE_ID and name not in self.made:
            return 404, _json({"message": f"No such image: {name}"})
        image = {
            "Os": "linux",
            "Architecture": self.architecture,
            "Config": {"Env": ["PATH=/bin"]},
            "Id": IMAGE_ID,
            "Parent": "sha256:2",
            "ContainerConfig": {"Cmd": ["/bin/sh", "-c", "#(nop) COPY file:1 in /"]},
        }
        return 200, _json(image)

    def _history(self, *_: Any) -> tuple[int, bytes]:
        return 200, _json([{"CreatedBy": command} for command in self.history])


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _stream(events: Events) -> bytes:
    return b"".join(_json(event) + b"\r\n" for event in events)


@contextmanager
def fake_docker(directory: Path, on_push: Callable[[str], None]) -> Iterator[FakeDocker]:
    """Put the engine behind docker-py's default socket; the user's Docker configuration is an empty folder."""
    engine = FakeDocker(on_push)
    with (
        mock.patch.dict(os.environ, {"DOCKER_CONFIG": str(directory)}),
        mock.patch("docker.api.client.UnixHTTPAdapter", return_value=engine),
    ):
        os.environ.pop("DOCKER_HOST", None)
        yield engine
