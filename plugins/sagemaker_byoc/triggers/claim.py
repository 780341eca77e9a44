"""Waits for a run's turn to deploy to an endpoint.

Owns the wait, and the looks that all waits for one endpoint share. Takes the endpoint as soon as it is the run's turn:
until a worker has started, another run might have. Whose turn it is stands in ``claim``.
"""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.claim import Contender, Standing, Turn
from sagemaker_byoc.hooks.claim import ClaimHook
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.pause import pause_seconds
from sagemaker_byoc.retry import is_permanent
from sagemaker_byoc.triggers.shared import in_thread, sharing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = ["EndpointClaimTrigger"]

SHORTEST_INTERVAL_SECONDS = 1.0
"""Between two looks, whatever a wait asks for."""


class EndpointClaimTrigger(BaseTrigger):
    """Fire once when the run has the endpoint.

    The event is ``{"claim": number}``, or ``{"claim_error": text}`` when no further look would succeed.

    :param contender: the run, as ``Contender.as_json`` tells it
    :param connection: how AWS is reached, as ``AwsConnection.serialize`` tells it
    :param poll_interval_seconds: pause between two looks, or up to a fifth less; waits for one endpoint share the
        looks, and the shortest pause counts
    """

    def __init__(
        self, *, contender: dict[str, Any], connection: dict[str, Any], poll_interval_seconds: float = 5.0
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.contender = Contender(**contender)
        self.connection = AwsConnection(**connection)
        self.poll_interval_seconds = poll_interval_seconds

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.claim.EndpointClaimTrigger",
            {
                "contender": self.contender.as_json(),
                "connection": self.connection.serialize(),
                "poll_interval_seconds": self.poll_interval_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        try:
            event: dict[str, Any] = {"claim": await self._wait()}
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            event = {"claim_error": str(error)}
        yield TriggerEvent(event)

    async def _wait(self) -> int:
        hook = ClaimHook(self.connection, self.contender.endpoint_name)
        turn = Turn(self.contender, asyncio.get_running_loop().time)
        with (
            sharing(("claim", self.connection.key, self.contender.endpoint_name), lambda: _Looks(hook)) as looks,
            looks.heard(self.poll_interval_seconds) as heard,
        ):
            while True:
                seen = await heard.get()
                if isinstance(seen, Exception):
                    raise seen
                if isinstance(seen, str):
                    self.log.warning(seen)
                    continue
                if news := turn.news(seen):
                    self.log.info(news)
                if not turn.has_come(seen):
                    continue
                number = await self._take(hook, seen)
                if number is not None:
                    return number

    async def _take(self, hook: ClaimHook, seen: Standing) -> int | None:
        """Try once; what went wrong and passes is tried again after the next look, which shows what it came to."""
        try:
            return await in_thread(hook.take, self.contender, seen)
        except Exception as error:
            if is_permanent(error):
                raise
            self.log.warning("The endpoint could not be taken, it will be tried again: %s", error)
            return None


_News = asyncio.Queue["Standing | Exception | str"]


class _Looks:
    """Looks at one queue, for all who wait in it.

    A look that fails for a passing reason is repeated after a pause that doubles up to two minutes.
    """

    def __init__(self, hook: ClaimHook) -> None:
        self._hook = hook
        self._heard: dict[_News, float] = {}

    @contextmanager
    def heard(self, interval_seconds: float) -> Iterator[_News]:
        """Hear of each look from now on."""
        news: _News = asyncio.Queue()
        self._heard[news] = interval_seconds
        try:
            yield news
        finally:
            del self._heard[news]

    async def run(self) -> None:
        """Look until cancelled, or until no further look would succeed."""
        failures = 0
        while True:
            try:
                self._tell(await in_thread(self._hook.look))
                failures = 0
            except Exception as error:  # noqa: BLE001 - those who wait are told
                if is_permanent(error):
                    self._tell(error)
                    return
                failures += 1
                self._tell(f"Look {failures} in a row failed, it will be repeated: {error}")
            await asyncio.sleep(pause_seconds(self._interval_seconds, failures))

    def _tell(self, news: Standing | Exception | str) -> None:
        for heard in self._heard:
            heard.put_nowait(news)

    @property
    def _interval_seconds(self) -> float:
        return max(SHORTEST_INTERVAL_SECONDS, min(self._heard.values(), default=0.0))
