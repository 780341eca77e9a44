"""Clients that ask an endpoint again and again from several threads, and what they were answered."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Traffic", "traffic"]


@dataclass
class Traffic:
    """What came of the requests so far.

    :param answers: how often each variant gave each body
    :param failures: what was raised, as text
    :param last: when each body was answered last, on the monotonic clock
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sent(self) -> int:
        """Count the requests that have ended."""
        with self._lock:
            return sum(self.answers.values()) + len(self.failures)

    def variants(self) -> set[str]:
        """Return the variants that have answered."""
        with self._lock:
            return {variant for variant, _ in self.answers}

    def wait_for(self, more: int) -> None:
        """Return after so many further requests."""
        goal = self.sent + more
        wait_until(lambda: self.sent >= goal, f"{more} more requests were sent", 60.0)

    def ask(self, runtime: Any, endpoint_name: str, body: bytes) -> None:
        """Send one request."""
        try:
            answer = runtime.invoke_endpoint(EndpointName=endpoint_name, Body=body, ContentType="text/csv")
            content = answer["Body"].read().decode()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            with self._lock:
                self.failures.append(str(error))
            return
        with self._lock:
            self.answers[answer["InvokedProductionVariant"], content] += 1
            self.last[content] = time.monotonic()


@contextmanager
def traffic(
    client: Callable[[], Any], endpoint_name: str, body: bytes = b"length\n1", *, threads: int = 3
) -> Iterator[Traffic]:
    """Ask until the block ends; nothing is retried.

    :param client: makes a client of SageMaker Runtime
    """
    seen, over = Traffic(), threading.Event()

    def work(runtime: Any) -> None:
        while not over.is_set():
            seen.ask(runtime, endpoint_name, body)

    workers = [threading.Thread(target=work, args=(client(),), daemon=True) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield seen
    finally:
        over.set()
        for worker in workers:
            worker.join()
