"""Runs one transform job from start to end.

Owns the order of events: start instances, transform, upload, clean up, and what a stop does to it. Must not know the
API.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import queue
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import boto3.exceptions
import botocore.exceptions

from local_aws.container import ContainerError, EngineLostError
from local_aws.sagemaker.channel import DownloadError, find_objects
from local_aws.sagemaker.instance import (
    STOP_GRACE_SECONDS,
    CannotStartError,
    Instance,
    InstanceError,
    InstancePlan,
    NotHealthyError,
)
from local_aws.sagemaker.job_end import (
    CLOSE_GRACE_SECONDS,
    INTERNAL_ERROR,
    JobClosedError,
    JobFailedError,
    StopRequestedError,
)
from local_aws.sagemaker.log_stream import LogStream
from local_aws.sagemaker.s3_location import S3Location
from local_aws.sagemaker.transform_client import CancelledError, NoPredictionError, TransformClient
from local_aws.sagemaker.transform_log import TransformLog
from local_aws.sagemaker.transform_object import ObjectTransform
from local_aws.sagemaker.transform_parameters import TransformParameters, ask_container, batch_environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.channel import S3Object
    from local_aws.sagemaker.model import HostedContainer
    from local_aws.sagemaker.transform_state import TransformState

__all__ = ["LOG_GROUP", "TransformRun"]

LOG_GROUP = "/aws/sagemaker/TransformJobs"

_NOT_HEALTHY = (
    "AlgorithmError: Model container failed to respond to ping. Please ensure /ping endpoint is implemented and "
    "responds with an HTTP 200 status code"
)
"""Seen as the FailureReason of jobs whose container did not come up."""

_logger = logging.getLogger(__name__)


class _News(enum.Enum):
    """What the job's thread waits for while its instances work."""

    IDLE = "an instance has no more objects to transform"
    CANCELLED = "somebody asked for the end: a user, or the local AWS that goes down"


class TransformRun:
    """The life of one job, in a thread of its own.

    :param request: CreateTransformJob request, already checked
    :param container: what the job's model runs
    :param state: told of everything that happens
    :param startup_timeout_seconds: time for a container to become healthy
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        container: HostedContainer,
        state: TransformState,
        cloud: Cloud,
        engine: Engine,
        *,
        startup_timeout_seconds: float,
    ) -> None:
        self._request = request
        variables = {**container.environment, **batch_environment(request)}
        self._container = dataclasses.replace(container, environment=variables)
        self._state = state
        self._cloud = cloud
        self._engine = engine
        self._startup_timeout_seconds = startup_timeout_seconds
        self._grace_seconds = STOP_GRACE_SECONDS
        self._root: Path = cloud.state_dir / "transform-data" / state.name
        self._instances: list[Instance] = []
        self._logs: list[TransformLog] = []
        self._answers: dict[int, Path] = {}
        self._failures: dict[int, str] = {}
        self._cancelled = threading.Event()
        self._closing = threading.Event()
        self._news: queue.Queue[_News] = queue.Queue()
        self._thread = threading.Thread(target=self._run, name=f"transform {state.name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the job as StopTransformJob does; returns at once.

        :raises AwsError: when the job has ended
        """
        self._state.request_stop()
        if self._state.is_stop_requested:
            self._cancel()

    def close(self) -> None:
        """End the job's containers without keeping anything: the local AWS, and the job with it, goes down."""
        self._closing.set()
        self._grace_seconds = CLOSE_GRACE_SECONDS
        self._cancel()
        # The job's own thread may be in the middle of a stop, which has more patience.
        self._close_instances()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSE_GRACE_SECONDS + 5)

    def _cancel(self) -> None:
        self._cancelled.set()
        self._news.put(_News.CANCELLED)

    def _run(self) -> None:
        try:
            status, reason = self._end()
        except JobClosedError:
            self._clean_up()
            return
        # First the containers and files: whoever sees the end may take them for gone.
        self._clean_up()
        self._state.end(status, reason)

    def _end(self) -> tuple[str, str | None]:
        """Run the job and return status and FailureReason that it ends with.

        :raises JobClosedError: when nobody is left to be told
        """
        try:
            self._walk()
        except StopRequestedError:
            return "Stopped", None
        except JobFailedError as failure:
            return self._unless_stopped("Failed", str(failure))
        except JobClosedError:
            raise
        except Exception:
            _logger.exception("The transform job %s failed inside the local AWS", self._state.name)
            return self._unless_stopped("Failed", INTERNAL_ERROR)
        return "Completed", None

    def _unless_stopped(self, status: str, reason: str) -> tuple[str, str | None]:
        """Return the end of a job that failed; one that was stopped failed because of that."""
        if self._closing.is_set():
            raise JobClosedError
        return ("Stopped", None) if self._state.is_stop_requested else (status, reason)

    def _walk(self) -> None:
        # A job of an earlier life may have had the same name and the same state directory.
        shutil.rmtree(self._root, ignore_errors=True)
        objects = self._find_objects()
        self._refuse_when_cancelled()
        self._state.set_start()
        self._start_instances()
        self._transform(objects)
        self._refuse_when_cancelled()
        self._keep(objects)
        if self._failures:
            raise JobFailedError(self._failures[min(self._failures)])

    def _refuse_when_cancelled(self) -> None:
        if self._closing.is_set():
            raise JobClosedError
        if self._cancelled.is_set():
            raise StopRequestedError

    def _find_objects(self) -> list[S3Object]:
        try:
            found = find_objects(self._cloud.client("s3"), self._request["TransformInput"])
        except DownloadError as error:
            message = f"ClientError: {error}"
            raise JobFailedError(message) from error
        # Consoles make "folders" that are empty objects; that AWS passes over them is a guess.
        return [item for item in found if item.path and not item.path.endswith("/")]

    def _start_instances(self) -> None:
        plan = self._plan()
        count = self._request["TransformResources"]["InstanceCount"]
        self._instances = [Instance(plan, self._cloud, self._engine) for _ in range(count)]
        try:
            with ThreadPoolExecutor(count) as pool:
                list(pool.map(lambda instance: instance.start(self._cancelled), self._instances))
        except InstanceError as error:
            raise JobFailedError(_reason(error)) from error

    def _plan(self) -> InstancePlan:
        try:
            image = self._engine.resolve(self._container.image)
        except ContainerError as error:
            message = f"ClientError: {error}"
            raise JobFailedError(message) from error
        return InstancePlan(
            self._state.name,
            image,
            self._container,
            LOG_GROUP,
            self._startup_timeout_seconds,
            kind="transform",
            stream_end=f"-{int(time.time())}",
        )

    def _transform(self, objects: list[S3Object]) -> None:
        """Let every instance take one object after the other, until none is left or the job is cancelled."""
        parameters = TransformParameters.of(self._request, ask_container(self._instances[0].address))
        left: queue.SimpleQueue[tuple[int, S3Object]] = queue.SimpleQueue()
        for numbered in enumerate(objects):
            left.put(numbered)
        for instance in self._instances:
            worker = self._worker(instance, parameters)
            threading.Thread(target=self._work, args=(worker, left), daemon=True).start()
        working = len(self._instances)
        while working:
            if self._news.get() is _News.IDLE:
                working -= 1
            else:
                self._close_instances()

    def _worker(self, instance: Instance, parameters: TransformParameters) -> ObjectTransform:
        log = TransformLog(LogStream(self._cloud, LOG_GROUP, f"{instance.log_stream}/data-log"))
        self._logs.append(log)
        log.begin(parameters)
        client = TransformClient(instance.address, self._request, log, self._cancelled)
        return ObjectTransform(self._request, parameters, client, log, self._cloud.client("s3"))

    def _work(self, worker: ObjectTransform, left: queue.SimpleQueue[tuple[int, S3Object]]) -> None:
        try:
            while not self._cancelled.is_set():
                self._transform_one(worker, *left.get_nowait())
        except queue.Empty:
            pass
        finally:
            self._news.put(_News.IDLE)

    def _transform_one(self, worker: ObjectTransform, index: int, item: S3Object) -> None:
        try:
            self._answers[index] = worker.run(item, self._root / str(index))
        except NoPredictionError as error:
            # The other objects are transformed all the same (developer guide, batch transform errors).
            self._failures[index] = str(error)
        except CancelledError:
            pass
        except Exception:
            _logger.exception("Object %s failed inside the local AWS", item.location)
            self._failures[index] = INTERNAL_ERROR

    def _keep(self, objects: list[S3Object]) -> None:
        """Upload the answers of the objects that have them; a job that is stopped meanwhile keeps none."""
        s3 = self._cloud.client("s3")
        folder = S3Location.parse(self._request["TransformOutput"]["S3OutputPath"])
        kept: list[S3Location] = []
        try:
            for index, path in sorted(self._answers.items()):
                place = folder.below(f"{objects[index].path}.out")
                s3.upload_file(str(path), place.bucket, place.key)
                kept.append(place)
            self._state.settle()
        except StopRequestedError:
            self._remove(kept)
            raise
        except (
            botocore.exceptions.BotoCoreError,
            botocore.exceptions.ClientError,
            boto3.exceptions.S3UploadFailedError,
        ) as error:
            self._remove(kept)
            message = f"ClientError: Failed to upload to {folder}: {error}"
            raise JobFailedError(message) from error

    def _remove(self, kept: list[S3Location]) -> None:
        for place in kept:
            self._cloud.client("s3").delete_object(Bucket=place.bucket, Key=place.key)

    def _close_instances(self) -> None:
        with ThreadPoolExecutor(max(1, len(self._instances))) as pool:
            list(pool.map(self._close_instance, self._instances))

    def _close_instance(self, instance: Instance) -> None:
        instance.close(drain_seconds=0, grace_seconds=self._grace_seconds)

    def _clean_up(self) -> None:
        self._close_instances()
        for log in self._logs:
            log.close()
        shutil.rmtree(self._root, ignore_errors=True)


def _reason(error: InstanceError) -> str:
    """Return the FailureReason of a job whose instance did not come up."""
    if isinstance(error, NotHealthyError):
        return _NOT_HEALTHY
    if isinstance(error.__cause__, EngineLostError):
        return f"{INTERNAL_ERROR} ({error.__cause__})"
    if isinstance(error, CannotStartError):
        return f"AlgorithmError: {error.__cause__}"
    return f"ClientError: {error}"
