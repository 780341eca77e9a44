"""Stops a job that costs money when a person has ended the task that waited for it.

Owns the patience with which that is done, and what the log says if it fails. Knows no kind of job.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.hooks.task_state import has_left, has_left_triggerer
from sagemaker_byoc.retry import is_permanent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from airflow.sdk.types import Logger

__all__ = ["PaidJob", "stop_if_wait_was_killed", "stop_patiently", "stop_patiently_if_left"]

_PAUSES_SECONDS = (1.0, 2.0, 4.0, 8.0)
"""Between the attempts to stop a job when a task is killed."""

_unfinished: set[asyncio.Future[None]] = set()
"""What outlives the ``on_kill`` that began it; the loop itself would let it be collected."""


@dataclass(frozen=True)
class PaidJob:
    """A job as far as it can be stopped.

    :param name: with its kind, for example ``training job iris-1``
    :param stop: stops it; False when it had ended already
    :param url: returns the console's address of it; may ask for the region and fail
    """

    name: str
    stop: Callable[[], bool]
    url: Callable[[], str]

    def page(self) -> str:
        """Return the console's address, or why it is not known: the message that holds it must not be lost."""
        try:
            return self.url()
        except Exception as error:  # noqa: BLE001 - there is something more important to tell
            return f"(its region could not be found out: {error})"


def stop_patiently_if_left(job: PaidJob, task_instance: Any, state: str, *, log: Logger) -> None:
    """Stop the job when a person ended the task that waited for it, and log the outcome; raises nothing.

    A failure that may pass is waited out: for 15 s and five calls at most, but a worker is killed 5 s after it was told
    to end. After that nobody stops the job any more, so that the log has to say it.

    :param state: where the task is if Airflow only moves it: ``running`` on a worker, ``deferred`` in the triggerer
    """
    for pause_seconds in stopping(job, lambda: has_left(task_instance, state), log):
        time.sleep(pause_seconds)


def stop_patiently(job: PaidJob, *, log: Logger) -> None:
    """Stop the job of a task whose time is over; as patient as ``stop_patiently_if_left``, and raises nothing."""
    for pause_seconds in stopping(job, lambda: True, log):
        time.sleep(pause_seconds)


async def stop_if_wait_was_killed(job: PaidJob, task_instance: Any, *, log: Logger) -> None:
    """Do in the triggerer what ``stop_patiently_if_left`` does on a worker; a trigger's ``on_kill`` awaits it.

    Airflow gives up waiting for ``on_kill`` after 30 s, too soon when hundreds of waits were cleared at once; so this
    goes on behind its back, for as long as the triggerer lives.
    """
    work = asyncio.ensure_future(_stop_if_wait_was_killed(job, task_instance, log))
    _unfinished.add(work)
    work.add_done_callback(_unfinished.discard)
    await asyncio.shield(work)


async def _stop_if_wait_was_killed(job: PaidJob, task_instance: Any, log: Logger) -> None:
    try:
        left = await has_left_triggerer(task_instance)
    except Exception as error:  # noqa: BLE001 - Airflow would log it without saying what goes on and costs money
        await asyncio.to_thread(tell_that_it_goes_on, job, error, log)
        return
    steps = stopping(job, lambda: left, log)
    while (pause_seconds := await asyncio.to_thread(next, steps, None)) is not None:
        await asyncio.sleep(pause_seconds)


def stopping(job: PaidJob, left: Callable[[], bool], log: Logger) -> Iterator[float]:
    """Stop the job, if nobody waits any more; yield how many seconds to let pass after an attempt that failed."""
    for pause_seconds in (*_PAUSES_SECONDS, None):
        try:
            log.info(_stop(job) if left() else f"The task goes on, and so does {job.name}.")
        except Exception as error:  # noqa: BLE001 - Airflow would log it without saying what goes on and costs money
            if pause_seconds is None or is_permanent(error):
                tell_that_it_goes_on(job, error, log)
                return
            log.warning("Stopping %s failed, next attempt in %.0f s: %s", job.name, pause_seconds, error)
            yield pause_seconds
        else:
            return


def tell_that_it_goes_on(job: PaidJob, error: Exception, log: Logger) -> None:
    """Log where a job is to be stopped by hand."""
    text = "%s could not be stopped and may go on; look there and stop it by hand: %s (%s)"
    log.error(text, f"{job.name[0].upper()}{job.name[1:]}", job.page(), error)


def _stop(job: PaidJob) -> str:
    return f"The task waits no more: {job.name} {'is being stopped' if job.stop() else 'had ended already'}."
