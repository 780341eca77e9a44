"""The log of a training job, told while a trigger waits for the job.

Owns the waiting task's side: lines are logged by the trigger's own asyncio task, since Airflow finds the task's log by
what is bound to that one. Who reads, and when, is ``triggers.log_reader``'s.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from sagemaker_byoc.call_pace import CallBudget
from sagemaker_byoc.hooks.job_log import JobLog, second_look_seconds
from sagemaker_byoc.triggers.log_reader import SharedLogReader
from sagemaker_byoc.triggers.shared import in_thread, sharing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from airflow.sdk.types import Logger

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["LogFollow", "follow_log"]

FINISH_SECONDS = 5.0
"""How long the end of a wait may be delayed for the last lines."""

CHARACTERS_PER_SECOND, CHARACTERS_AT_ONCE = 30_000.0, 4_000
"""What all waits of this process tell. A line goes to the triggerer's supervisor through a socket, from which Airflow
3.3 takes 4 KB at each turn of its loop; with more at a time, the triggerer would stand still until it is taken."""

_telling = CallBudget(CHARACTERS_PER_SECOND, CHARACTERS_AT_ONCE, time.monotonic)


@asynccontextmanager
async def follow_log(
    connection: AwsConnection,
    training_job_name: str,
    metric_definitions: Iterable[Mapping[str, str]] = (),
    *,
    since: datetime,
    log: Logger,
) -> AsyncIterator[LogFollow]:
    """Log what the job's containers write for as long as the block runs; nothing of it can fail or hold up the block.

    :param metric_definitions: MetricDefinitions as DescribeTrainingJob gives them; their lines are marked
    :param since: no line is older, for example the job's CreationTime
    :param log: where the lines go, from a task with the caller's context
    """
    with sharing((SharedLogReader, connection.key), lambda: SharedLogReader(connection)) as reader:
        follow = LogFollow(reader, JobLog(connection, training_job_name, metric_definitions, since), log)
        reader.join(follow)
        telling = asyncio.create_task(follow.tell())
        try:
            yield follow
        finally:
            telling.cancel()
            reader.leave(follow)
            await asyncio.gather(telling, return_exceptions=True)


class LogFollow:
    """One wait that follows its job's log; made by ``follow_log``."""

    def __init__(self, reader: SharedLogReader, job: JobLog, log: Logger) -> None:
        self.job = job
        self._reader = reader
        self._log = log
        self._words: deque[tuple[Callable[..., object], str]] = deque()
        self._woken = asyncio.Event()
        self._looked: asyncio.Future[None] | None = None
        self._denied = False
        self._turn = asyncio.Lock()

    async def finish(self, ended_at_ms: int | None = None) -> None:
        """Log what is left, once the job has ended; takes 5 s at most to read it, and 5 s to tell it.

        :param ended_at_ms: when the containers can last have written, in milliseconds since 1970: within three seconds
            of that, CloudWatch may not show everything yet, and a second look follows after a pause
        """
        try:
            await asyncio.wait_for(self._look_twice(ended_at_ms), FINISH_SECONDS)
        except asyncio.TimeoutError:
            self._words.append((self._log.warning, await self._apology("The last lines could not be read in time")))
        finally:
            self._looked = None
        try:
            await asyncio.wait_for(self._tell_all(), FINISH_SECONDS)
        except asyncio.TimeoutError:
            self._log.warning(await self._apology(f"The last {len(self._words)} lines are too many to tell here"))

    async def _apology(self, reason: str) -> str:
        return f"({reason}. The whole log: {await in_thread(self.job.address)})"

    async def tell(self) -> None:
        """Log lines as they come, until cancelled."""
        while True:
            await self._woken.wait()
            self._woken.clear()
            await self._tell_all()

    @property
    def ending(self) -> bool:
        """Whether the last lines are waited for."""
        return self._looked is not None and not self._looked.done()

    def deliver(self, lines: Sequence[str], *, last: bool) -> None:
        """Take new lines to log."""
        if lines:
            self._words.extend((self._log.info, line) for line in lines)
            self._woken.set()
        if last:
            self._stop_looking()

    def deny(self, reason: str) -> None:
        """Log once why there will be no lines."""
        if not self._denied:
            self._denied = True
            self._words.append((self._log.warning, reason))
            self._woken.set()
        self._stop_looking()

    async def _look_twice(self, ended_at_ms: int | None) -> None:
        await self._look()
        pause = second_look_seconds(ended_at_ms)
        if pause and not self._denied:
            await asyncio.sleep(pause)
            await self._look()

    async def _look(self) -> None:
        self._looked = asyncio.get_running_loop().create_future()
        self._reader.hurry(self)
        await self._looked

    def _stop_looking(self) -> None:
        if self._looked is not None and not self._looked.done():
            self._looked.set_result(None)

    async def _tell_all(self) -> None:
        async with self._turn:
            while self._words:
                tell, line = self._words[0]
                pause = _telling.wait_seconds()
                _telling.spend(len(line))
                if pause:
                    await asyncio.sleep(pause)
                self._words.popleft()
                tell("%s", line)
