"""The CloudWatch alarms that guard a deployment.

Owns how they are looked at. Must not know deployments: who asks decides what an alarm means.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import botocore.exceptions

if TYPE_CHECKING:
    from collections.abc import Sequence

    from local_aws.cloud import Cloud

__all__ = ["Alarms"]

_logger = logging.getLogger(__name__)


class Alarms:
    """Some alarms by name.

    :param cloud: where CloudWatch is
    :param names: of metric or composite alarms
    """

    def __init__(self, cloud: Cloud, names: Sequence[str]) -> None:
        self._cloud = cloud
        self._names = names

    def missing(self) -> list[str]:
        """Return the names that CloudWatch does not know."""
        known = self._states()
        return [name for name in self._names if name not in known]

    def tripped(self) -> list[str]:
        """Return the names of those in state ALARM; none when CloudWatch cannot be asked just now."""
        try:
            states = self._states()
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
            _logger.exception("The alarms %s cannot be looked at", ", ".join(self._names))
            return []
        return [name for name in self._names if states.get(name) == "ALARM"]

    def _states(self) -> dict[str, str]:
        if not self._names:
            return {}
        answer = self._cloud.client("cloudwatch").describe_alarms(
            AlarmNames=list(self._names), AlarmTypes=["MetricAlarm", "CompositeAlarm"]
        )
        found = [*answer.get("MetricAlarms", []), *answer.get("CompositeAlarms", [])]
        return {alarm["AlarmName"]: alarm["StateValue"] for alarm in found}
