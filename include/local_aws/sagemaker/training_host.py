"""One host of a training job: its container, its log and its end.

Owns the threads that read a container's output and wait for its end. Must not know what an end means for the job.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING

from local_aws.container import Ending
from local_aws.sagemaker.log_stream import LogStream

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.cloud import Cloud
    from local_aws.container import Container, Engine, Launch
    from local_aws.sagemaker.metric import MetricWatch
    from local_aws.sagemaker.ml_directory import MlDirectory

__all__ = ["LOG_GROUP", "TrainingHost"]

LOG_GROUP = "/aws/sagemaker/TrainingJobs"

_OUTPUT_SECONDS = 5.0
"""How long output may still come after the end: a child of the container's program can keep the pipe open."""

_logger = logging.getLogger(__name__)


class TrainingHost:
    """A host and, once started, its container.

    :param directory: its ``/opt/ml``
    :param launch: how the engine starts its container
    """

    def __init__(self, directory: MlDirectory, launch: Launch) -> None:
        self.directory = directory
        self.name = launch.host
        self._launch = launch
        self._container: Container | None = None
        self._threads: list[threading.Thread] = []

    def start(
        self, engine: Engine, cloud: Cloud, metrics: MetricWatch, on_exit: Callable[[TrainingHost, int], None]
    ) -> None:
        """Start the container; its lines go to CloudWatch Logs and to the metrics.

        :param on_exit: called once, from another thread, with the exit code, when every line has been written
        :raises ContainerError: when the engine cannot start it
        """
        container = engine.start(self._launch)
        self._container = container
        job_name = self._launch.environment["TRAINING_JOB_NAME"]
        log = LogStream(cloud, LOG_GROUP, f"{job_name}/{self.name}-{int(time.time())}")
        reader = threading.Thread(
            target=_read, args=(container, log, metrics), name=f"output {self._launch.name}", daemon=True
        )
        waiter = threading.Thread(
            target=self._wait, args=(container, reader, log, on_exit), name=f"wait {self._launch.name}", daemon=True
        )
        self._threads = [reader, waiter]
        for thread in self._threads:
            thread.start()

    @property
    def ending(self) -> Ending:
        """What ended its container, as far as the engine knows."""
        return Ending.OWN if self._container is None else self._container.ending

    def stop(self, grace_seconds: float) -> None:
        """SIGTERM, then SIGKILL; returns when the container is gone. Harmless when it never started."""
        if self._container is not None:
            self._container.stop(grace_seconds)

    def _wait(
        self,
        container: Container,
        reader: threading.Thread,
        log: LogStream,
        on_exit: Callable[[TrainingHost, int], None],
    ) -> None:
        code = container.wait()
        reader.join(_OUTPUT_SECONDS)
        log.close()
        on_exit(self, 0 if code is None else code)


def _read(container: Container, log: LogStream, metrics: MetricWatch) -> None:
    try:
        for line in container.lines():
            log.write(line)
            metrics.feed(line)
    except Exception:
        _logger.exception("The output of a container cannot be read on")
