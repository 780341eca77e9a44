"""Following a training job's log from a worker, between two looks at the job.

Owns when a blocking wait reads. In the triggerer ``triggers.log_stream`` does the same for many waits at once.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sagemaker_byoc.call_pace import CallPace
from sagemaker_byoc.hooks.job_log import JobLog, denial, read_each, second_look_seconds
from sagemaker_byoc.hooks.log import LogHook
from sagemaker_byoc.pause import DENIED_SECONDS
from sagemaker_byoc.retry import is_denied

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from airflow.sdk.types import Logger

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["LogFollower"]


class LogFollower:
    """Logs what a job's containers write. No method raises: a log that cannot be read must not fail the wait.

    :param training_job_name: the job
    :param metric_definitions: MetricDefinitions as DescribeTrainingJob gives them; their lines are marked
    :param since: no line is older, for example the job's CreationTime
    :param log: where the lines go
    """

    def __init__(
        self,
        connection: AwsConnection,
        training_job_name: str,
        metric_definitions: Iterable[Mapping[str, str]] = (),
        *,
        since: datetime,
        log: Logger,
    ) -> None:
        self._hook = LogHook(connection)
        self._job = JobLog(connection, training_job_name, metric_definitions, since)
        self._log = log
        self._pace = CallPace()
        self._due = time.monotonic()
        self._denied = False

    def read(self) -> None:
        """Log what is new, if it is time: after 5 s, up to 30 s while nothing is written. Call it between two looks."""
        if time.monotonic() >= self._due:
            self._due = time.monotonic() + self._look(last=False)

    def finish(self, ended_at_ms: int | None = None) -> None:
        """Log what is left, once the job has ended.

        :param ended_at_ms: when the containers can last have written, in milliseconds since 1970: within three seconds
            of that, CloudWatch may not show everything yet, and a second look follows after a pause
        """
        self._look(last=True)
        pause = second_look_seconds(ended_at_ms)
        if pause and not self._denied:
            time.sleep(pause)
            self._look(last=True)

    def _look(self, *, last: bool) -> float:
        """Read once; return the seconds until the next look."""
        try:
            [lines] = read_each(self._hook, [self._job], last=last).lines
        except Exception as error:  # noqa: BLE001 - whatever it is, the wait goes on
            return self._failed(error)
        for line in lines:
            self._log.info("%s", line)
        return self._pace.after_success(news=bool(lines))

    def _failed(self, error: Exception) -> float:
        if is_denied(error):
            if not self._denied:
                self._log.warning("%s", denial(error))
            self._denied = True
            return DENIED_SECONDS
        pause = self._pace.after_failure()
        if self._pace.failures == 1:
            self._log.warning("The container's log could not be read, it will be tried again: %s", error)
        return pause
