"""What is known of one build, in the form in which BatchGetBuilds tells it.

Owns the phases, their times and the status. Must not know how a build is run. Safe to use from several threads.
"""

from __future__ import annotations

import copy
import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["BuildRecord"]


class BuildRecord:
    """One build.

    :param build: the members that do not change: id, arn, project, source, environment, logs, …
    """

    def __init__(self, build: Mapping[str, Any]) -> None:
        self._lock = threading.Lock()
        self._build: dict[str, Any] = {
            **build,
            "startTime": _now(),
            "buildStatus": "IN_PROGRESS",
            "buildComplete": False,
            "phases": [],
            "exportedEnvironmentVariables": [],
        }

    @property
    def build_id(self) -> str:
        """``<project>:<uuid>``."""
        return str(self._build["id"])

    @property
    def is_complete(self) -> bool:
        """Whether the build has ended, one way or the other."""
        return bool(self._build["buildComplete"])

    def describe(self) -> dict[str, Any]:
        """Return the build as it is now."""
        with self._lock:
            return copy.deepcopy(self._build)

    def begin(self, phase: str) -> None:
        """Start a phase."""
        with self._lock:
            self._build["currentPhase"] = phase
            self._build["phases"].append({"phaseType": phase, "startTime": _now()})

    def end(self, status: str = "SUCCEEDED", message: str = "", status_code: str = "") -> None:
        """End the phase that was started last.

        :param status: a phase status, for example ``SUCCEEDED`` or ``FAILED``
        :param message: for people: which command failed and how
        :param status_code: for programs, for example ``COMMAND_EXECUTION_ERROR``
        """
        with self._lock:
            phase = self._build["phases"][-1]
            ended = _now()
            phase["phaseStatus"] = status
            phase["endTime"] = ended
            phase["durationInSeconds"] = round((ended - phase["startTime"]).total_seconds())
            phase["contexts"] = [{"statusCode": status_code, "message": message}]

    def export(self, variables: Mapping[str, str]) -> None:
        """Note the variables that the buildspec exports."""
        with self._lock:
            self._build["exportedEnvironmentVariables"] = [
                {"name": name, "value": value} for name, value in variables.items()
            ]

    def complete(self, status: str) -> None:
        """End the build."""
        with self._lock:
            now = _now()
            self._build["phases"].append({"phaseType": "COMPLETED", "startTime": now})
            self._build.update(currentPhase="COMPLETED", buildStatus=status, endTime=now, buildComplete=True)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.timezone.utc)
