"""An AWS endpoint that holds thousands of jobs in progress and counts every call.

A program, ``python benchmarks/edge.py READY_FILE``: it serves on a free port of loopback and writes its URL into the
file. The local AWS would run each of the jobs; this one runs none, so that the machine's time belongs to the waits.
Speaks AWS's JSON protocols; the paths under ``/_edge`` are the benchmark's own. Answers carry a true ``Date``.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from edge_account import Account, RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

    Receive: TypeAlias = Callable[[], Awaitable[dict[str, Any]]]
    Send: TypeAlias = Callable[[dict[str, Any]], Awaitable[None]]

KEEP_ALIVE_SECONDS = 75
BACKLOG = 4096


class Edge:
    """The ASGI application."""

    def __init__(self) -> None:
        self.account = Account()

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Answer one request."""
        body = await read(receive)
        if scope["path"].startswith("/_edge/"):
            status, answer = 200, self.administer(scope["path"].removeprefix("/_edge/"), body)
        else:
            status, answer = await self.call(dict(scope["headers"]).get(b"x-amz-target", b"").decode(), body)
        content = json.dumps(answer).encode()
        headers = [(b"content-type", b"application/x-amz-json-1.1"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    async def call(self, target: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and answer of a call of AWS."""
        try:
            return 200, await self.account.answer(target.rpartition(".")[2], json.loads(body or b"{}"))
        except RefusedError as refusal:
            code, text = refusal.args
            return 400, {"__type": code, "message": text}

    def administer(self, what: str, body: bytes) -> Any:
        """Do what the benchmark asks for."""
        given = json.loads(body or b"null")
        if what == "jobs":
            self.account.create_jobs(given)
        elif what == "ends":
            return self.account.plan_ends(given)
        elif what == "reset-calls":
            self.account.calls.clear()
        elif what == "reset":
            self.account = Account()
        return {"calls": self.account.calls, "described": len(self.account.described)}


async def read(receive: Receive) -> bytes:
    """Return the request's whole body."""
    body, more = b"", True
    while more:
        part = await receive()
        body += part.get("body", b"")
        more = part.get("more_body", False)
    return body


async def serve(ready_file: Path) -> None:
    """Serve until a signal ends the process."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            Edge(),
            lifespan="off",
            access_log=False,
            log_level="warning",
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            backlog=BACKLOG,
        )
        listener.listen(BACKLOG)
        ready_file.write_text(f"http://127.0.0.1:{listener.getsockname()[1]}")
        await uvicorn.Server(config).serve([listener])


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
