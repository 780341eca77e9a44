"""Tells EventBridge about state changes, in the order in which they happened.

Owns one queue and one thread, so that no operation waits for EventBridge. Must not know what changed.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import queue
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud

__all__ = ["EventPublisher", "epoch_milliseconds", "json_times"]

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Event:
    detail_type: str
    resource_arn: str
    detail: Mapping[str, Any]


class EventPublisher:
    """Publishes to the default event bus as source ``aws.sagemaker``.

    :param cloud: where EventBridge is
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._queue: queue.Queue[_Event | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name="sagemaker-events", daemon=True)
        self._thread.start()

    def publish(self, detail_type: str, resource_arn: str, detail: Mapping[str, Any]) -> None:
        """Queue one event; returns at once.

        :param detail_type: for example ``SageMaker Training Job State Change``
        :param detail: JSON values only
        """
        self._queue.put(_Event(detail_type, resource_arn, detail))

    def close(self) -> None:
        """Send what is queued and end."""
        self._queue.put(None)
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while (event := self._queue.get()) is not None:
            self._send(event)

    def _send(self, event: _Event) -> None:
        entry = {
            "Source": "aws.sagemaker",
            "DetailType": event.detail_type,
            "Resources": [event.resource_arn],
            "Detail": json.dumps(event.detail),
        }
        try:
            self._cloud.client("events").put_events(Entries=[entry])
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            _logger.exception("EventBridge did not take '%s' of %s", event.detail_type, event.resource_arn)


def epoch_milliseconds(moment: dt.datetime) -> int:
    """Return a time as SageMaker's events give it."""
    return round(moment.timestamp() * 1000)


def json_times(value: Any) -> Any:
    """Return a copy in which times are as events give them; members that are None are left out."""
    if isinstance(value, dt.datetime):
        return epoch_milliseconds(value)
    if isinstance(value, list):
        return [json_times(item) for item in value]
    if isinstance(value, dict):
        return {name: json_times(item) for name, item in value.items() if item is not None}
    return value
