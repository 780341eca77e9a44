"""Calls an ASGI application without a socket."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sagemaker_container.asgi import Application, Message


@dataclass(frozen=True)
class Reply:
    """What the application answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Client:
    """Sends requests to one application.

    :param application: what answers.
    """

    def __init__(self, application: Application) -> None:
        self._application = application

    def send(self, method: str, path: str, *chunks: bytes, **headers: str) -> Reply:
        """Send one request whose body comes in chunks; ``content_type=…`` becomes the header ``content-type``."""
        incoming = [{"type": "http.request", "body": chunk, "more_body": True} for chunk in chunks]
        incoming.append({"type": "http.request", "body": b"", "more_body": False})
        outgoing: list[Message] = []

        async def receive() -> Message:
            return incoming.pop(0)

        async def send(message: Message) -> None:
            outgoing.append(message)

        encoded = [(name.replace("_", "-").encode(), value.encode("latin-1")) for name, value in headers.items()]
        scope = {"type": "http", "method": method, "path": path, "headers": encoded}
        asyncio.run(self._application(scope, receive, send))
        start, body = outgoing
        received = {name.decode(): value.decode() for name, value in start["headers"]}
        return Reply(start["status"], received, body["body"])

    def invoke(self, body: bytes | str, content_type: str = "text/csv", **headers: str) -> Reply:
        """Send one invocation."""
        content = body.encode() if isinstance(body, str) else body
        return self.send("POST", "/invocations", content, content_type=content_type, **headers)
