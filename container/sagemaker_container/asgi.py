"""The HTTP side of serving as a plain ASGI application: ``GET /ping`` and ``POST /invocations``.

Source of the rules: "Use Your Own Inference Code with Hosting Services", SageMaker Developer Guide.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from sagemaker_container.errors import PayloadTooLargeError, RequestError
from sagemaker_container.media import JSON, choose_answer, encode, require_known
from sagemaker_container.predictor import Predictor

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_LIMIT_BYTES = 6_291_456
"""The limit of InvokeEndpoint's ``Body`` in the SageMaker Runtime API."""

INLINE_BYTES = 65_536
"""Smaller bodies are answered on the event loop: a thread would take longer than the prediction."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Answer:
    """One HTTP response."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Application:
    """Serves one loaded model.

    :param predictor: the model.
    """

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        answer = await self._answer(scope, receive)
        headers = {"content-length": str(len(answer.body)), **answer.headers}
        encoded = [(name.encode(), value.encode()) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": answer.status, "headers": encoded})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> Answer:
        match scope["path"], scope["method"]:
            case "/ping", "GET":
                return self._ping()
            case "/invocations", "POST":
                return await self._invoke(scope, receive)
            case "/ping" | "/invocations" as path, method:
                allowed = "GET" if path == "/ping" else "POST"
                return _refusal(405, f"{method} is not allowed on {path}; use {allowed}.", {"allow": allowed})
            case path, _:
                return _refusal(404, f"Nothing is served at {path}; use GET /ping or POST /invocations.")

    def _ping(self) -> Answer:
        """Say 200 only when the model really answers, because SageMaker sends it traffic from then on."""
        try:
            self._predictor.predict(self._predictor.sample())
        except Exception as error:
            logger.exception("The model does not answer")
            return _refusal(503, f"The model does not answer: {type(error).__name__}: {error}")
        return Answer(200)

    async def _invoke(self, scope: Mapping[str, Any], receive: Receive) -> Answer:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        content_type, accept = headers.get(b"content-type", ""), headers.get(b"accept", "")
        try:
            body = await _read(receive)
            if len(body) <= INLINE_BYTES:
                return self._predict(content_type, accept, body)
            return await asyncio.to_thread(self._predict, content_type, accept, body)
        except RequestError as error:
            return _refusal(error.status, str(error))

    def _predict(self, content_type: str, accept: str, body: bytes) -> Answer:
        media_type, parameters = require_known(content_type, self._predictor.decoders)
        answer_type = choose_answer(accept, media_type)
        batch = self._predictor.decoders[media_type](body, parameters)
        return Answer(200, encode(self._predictor.predict(batch), answer_type), {"content-type": answer_type})


async def _read(receive: Receive) -> bytes:
    """Return the whole body; the server throws away what comes after the limit."""
    body, more = bytearray(), True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
        if len(body) > BODY_LIMIT_BYTES:
            reason = f"The body is larger than {BODY_LIMIT_BYTES} bytes, SageMaker's limit for one invocation."
            raise PayloadTooLargeError(reason)
    return bytes(body)


def _refusal(status: int, reason: str, headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps({"error": reason}).encode(), {"content-type": JSON, **(headers or {})})
