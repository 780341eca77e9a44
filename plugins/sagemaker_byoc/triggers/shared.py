"""What triggers of one process do together, each in an asyncio task of its own.

Owns who shares what: there is one for each key on an event loop, made for the first who asks and ended with the last
who leaves. Does not know what is shared.
"""

from __future__ import annotations

import asyncio
import contextvars
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Hashable, Iterator

__all__ = ["Shared", "in_thread", "nap", "sharing"]

_threads = ThreadPoolExecutor(max_workers=8, thread_name_prefix="sagemaker-byoc")
"""For boto3's blocking calls. Not the event loop's own threads, which other triggers may have filled."""


class Shared(Protocol):
    """What can be shared."""

    async def run(self) -> None:
        """Serve those who share it until cancelled."""


SharedOne = TypeVar("SharedOne", bound=Shared)
Answer = TypeVar("Answer")


@dataclass
class _Share:
    served: Any
    task: asyncio.Task[None]
    users: int = 0


_shares: dict[tuple[asyncio.AbstractEventLoop, Hashable], _Share] = {}


@contextmanager
def sharing(key: Hashable, make: Callable[[], SharedOne]) -> Iterator[SharedOne]:
    """Use what others on this event loop use, too.

    :param key: two that are equal share one
    :param make: makes it for the first who asks, and again after it has ended
    """
    place = asyncio.get_running_loop(), key
    share = _shares.get(place)
    if share is None or share.task.done():
        served = make()
        share = _shares[place] = _Share(served, _start(served.run()))
    share.users += 1
    try:
        yield share.served
    finally:
        share.users -= 1
        if not share.users:
            share.task.cancel()
            if _shares.get(place) is share:
                del _shares[place]


async def in_thread(function: Callable[..., Answer], *given: Any) -> Answer:
    """Call what blocks without holding up the event loop."""
    return await asyncio.get_running_loop().run_in_executor(_threads, function, *given)


async def nap(woken: asyncio.Event, seconds: float) -> None:
    """Sleep until an event is set or the time is over; the event is set in either case.

    Unlike ``asyncio.wait_for`` before Python 3.12, this never loses a cancellation that comes together with the event.
    """
    alarm = asyncio.get_running_loop().call_later(seconds, woken.set)
    try:
        await woken.wait()
    finally:
        alarm.cancel()


def _start(work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
    """Start a task in an empty context: Airflow's says whose log a line goes to, and this one serves all."""
    return contextvars.Context().run(asyncio.get_running_loop().create_task, work)
