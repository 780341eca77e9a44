"""The least that a trigger needs to wait for news of state changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.triggers.event_stream import EventStream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["EventTrigger"]


class EventTrigger(BaseTrigger):
    """Fires when there are news of a training job.

    :param aws_conn_id: Airflow connection
    :param queue_url: where news come from
    :param name: of the training job
    """

    def __init__(self, *, aws_conn_id: str, queue_url: str, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.aws_conn_id = aws_conn_id
        self.queue_url = queue_url
        self.name = name

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what makes this trigger again."""
        parameters = {"aws_conn_id": self.aws_conn_id, "queue_url": self.queue_url, "name": self.name}
        return "tests.support.event_trigger.EventTrigger", parameters

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        news = asyncio.Event()
        stream = EventStream.of(AwsConnection(self.aws_conn_id), self.queue_url)
        leave = stream.subscribe("training_job", self.name, news.set)
        try:
            await news.wait()
            yield TriggerEvent({"name": self.name})
        finally:
            leave()
