"""Waits for an image build to end.

Owns the wait and, when a person ends the task, the stopping of the build. What the end of a build means is the
operator's.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from sagemaker_byoc.hooks.builder import make_builder
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.image import Builder, BuilderSettings
from sagemaker_byoc.hooks.task_state import has_left_triggerer, note_try_of
from sagemaker_byoc.triggers.watch import look_until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["ImageBuildTrigger"]


class ImageBuildTrigger(BaseTrigger):
    """Fire once when the build has ended.

    The event is ``{"build_id": id}``, or ``{"error": text}`` when no further look would succeed.

    :param connection: how AWS is reached, as ``AwsConnection.serialize`` tells it
    :param build_id: as the builder gave it
    :param builder: the word for the builder
    :param project_name: the builder's project
    :param source_bucket: the builder's bucket
    :param stop_on_kill: stop the build when a person clears the task or marks it
    :param poll_interval_seconds: pause between two looks
    """

    def __init__(
        self,
        *,
        connection: dict[str, Any],
        build_id: str,
        builder: str,
        project_name: str,
        source_bucket: str,
        stop_on_kill: bool = True,
        poll_interval_seconds: float = 5.0,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.build_id = build_id
        self.builder = builder
        self.project_name = project_name
        self.source_bucket = source_bucket
        self.stop_on_kill = stop_on_kill
        self.poll_interval_seconds = poll_interval_seconds
        self.connection = AwsConnection(**connection)

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return what the triggerer needs to make this trigger again."""
        return (
            "sagemaker_byoc.triggers.image.ImageBuildTrigger",
            {
                "connection": self.connection.serialize(),
                "build_id": self.build_id,
                "builder": self.builder,
                "project_name": self.project_name,
                "source_bucket": self.source_bucket,
                "stop_on_kill": self.stop_on_kill,
                "poll_interval_seconds": self.poll_interval_seconds,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, then fire."""
        await note_try_of(self.task_instance)
        try:
            builder = self._builder()
            await look_until(
                lambda state: not state.in_progress,
                lambda: builder.look(self.build_id),
                interval_seconds=self.poll_interval_seconds,
                log=self.log,
            )
        except Exception as error:  # noqa: BLE001 - the task raises it where its message is seen
            yield TriggerEvent({"error": str(error)})
            return
        yield TriggerEvent({"build_id": self.build_id})

    async def on_kill(self) -> None:
        """Stop the build, unless only this triggerer is being relieved of it."""
        if not self.stop_on_kill or not await has_left_triggerer(self.task_instance):
            return
        await asyncio.to_thread(self._builder().stop, self.build_id)
        self.log.info("The task was ended by a person, so the build %s is stopped.", self.build_id)

    def _builder(self) -> Builder:
        return make_builder(self.builder, self.connection, BuilderSettings(self.project_name, self.source_bucket))
