"""Runs one training job from start to end.

Owns the order of events: download, train, stop or time out, upload, clean up. Must not know the API.
"""

from __future__ import annotations

import logging
import queue
import shutil
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from local_aws.container import ContainerError, Ending, EngineLostError, Launch
from local_aws.sagemaker.artifact import Artifact, UploadError
from local_aws.sagemaker.channel import DownloadError, download, find_objects, shard
from local_aws.sagemaker.checkpoint import CheckpointSync
from local_aws.sagemaker.cluster import Cluster, Host
from local_aws.sagemaker.job_end import (
    CLOSE_GRACE_SECONDS,
    INTERNAL_ERROR,
    JobClosedError,
    JobFailedError,
    StopRequestedError,
)
from local_aws.sagemaker.metric import MetricWatch
from local_aws.sagemaker.ml_directory import MlDirectory
from local_aws.sagemaker.s3_location import S3Location
from local_aws.sagemaker.training_config import channel_mode, checkpoint_path, config_files, environment
from local_aws.sagemaker.training_host import TrainingHost

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.training_state import TrainingState

__all__ = ["TrainingRun", "output_artifacts"]

_logger = logging.getLogger(__name__)

_OUT_OF_MEMORY = (
    "ClientError: Please use an instance type with more memory, or reduce the size of job data processed on an "
    "instance."
)
"""Seen as the FailureReason of jobs that ran out of memory, in public notes on them up to 2026; AWS documents no text.
That a failure file goes before it is a guess."""


@dataclass(frozen=True)
class _Exit:
    host: TrainingHost
    code: int


class _Stop:
    """Somebody asked for the end: a user, or the local AWS that goes down."""


@dataclass(frozen=True)
class _End:
    """With what the job ends, in the words of ``TrainingState.end``."""

    status: str
    secondary: str
    failure_reason: str | None = None


def output_artifacts(request: Mapping[str, Any]) -> tuple[Artifact, Artifact]:
    """Return the model and the output data of a request."""
    output = request["OutputDataConfig"]
    folder = S3Location.parse(output["S3OutputPath"]).below(request["TrainingJobName"], "output")
    compressed = output.get("CompressionType", "GZIP") == "GZIP"
    return Artifact("model", folder, compressed), Artifact("output", folder, compressed)


class TrainingRun:
    """The life of one job, in a thread of its own.

    :param request: CreateTrainingJob request, already checked
    :param state: told of everything that happens
    :param stop_grace_seconds: time between SIGTERM and SIGKILL
    """

    def __init__(
        self,
        request: Mapping[str, Any],
        state: TrainingState,
        cloud: Cloud,
        engine: Engine,
        *,
        stop_grace_seconds: float,
    ) -> None:
        self._request = request
        self._state = state
        self._cloud = cloud
        self._engine = engine
        self._grace_seconds = stop_grace_seconds
        self._root: Path = cloud.state_dir / "training" / state.name
        self._cluster = Cluster.of(request["ResourceConfig"])
        self._metrics = MetricWatch(cloud, state.name, request["AlgorithmSpecification"].get("MetricDefinitions", []))
        self._hosts: list[TrainingHost] = []
        self._checkpoints: CheckpointSync | None = None
        self._news: queue.Queue[_Exit | _Stop] = queue.Queue()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"training {state.name}", daemon=True)

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the job as StopTrainingJob does; returns at once.

        :raises AwsError: when the job has ended
        """
        self._state.request_stop()
        self._news.put(_Stop())

    def close(self) -> None:
        """End the job's containers without keeping anything: the local AWS, and the job with it, goes down."""
        self._closing.set()
        self._grace_seconds = min(self._grace_seconds, CLOSE_GRACE_SECONDS)
        self._news.put(_Stop())
        for host in self._hosts:
            host.stop(CLOSE_GRACE_SECONDS)
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            end = self._end()
        except JobClosedError:
            self._clean_up()
            return
        # First the files: once the job has ended, another one may have its name and with it its directory.
        self._clean_up()
        self._state.end(end.status, end.secondary, end.failure_reason)

    def _end(self) -> _End:
        """Run the job and return with what it ends.

        :raises JobClosedError: when nobody is left to be told
        """
        try:
            return self._walk()
        except StopRequestedError:
            return _End("Stopped", "Stopped")
        except JobFailedError as failure:
            return self._fail(str(failure))
        except JobClosedError:
            raise
        except Exception:
            _logger.exception("The training job %s failed inside the local AWS", self._state.name)
            return self._fail(INTERNAL_ERROR)

    def _walk(self) -> _End:
        self._state.advance("Pending", "Training job waiting for capacity")
        self._state.advance("Pending", "Preparing the instances for training")
        self._prepare_hosts()
        self._state.advance("Downloading", "Downloading input data")
        started = time.monotonic()
        self._download()
        self._state.advance("Downloading", "Downloading the training image")
        self._state.advance("Training")
        self._refuse_when_closing()
        self._start_hosts()
        outcome = self._wait(started)
        self._refuse_when_closing()
        return self._keep(outcome)

    def _refuse_when_closing(self) -> None:
        if self._closing.is_set():
            raise JobClosedError

    def _prepare_hosts(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)
        for host in self._cluster.hosts:
            directory = MlDirectory(self._root / host.name)
            files = config_files(self._request, self._cluster, host, self._engine.network_interface)
            directory.lay_out(files)
            self._hosts.append(TrainingHost(directory, self._launch(host, directory)))

    def _launch(self, host: Host, directory: MlDirectory) -> Launch:
        algorithm = self._request["AlgorithmSpecification"]
        arguments = algorithm.get("ContainerArguments")
        if arguments is None:
            # `train` is the command only as long as the request names no program of its own.
            arguments = () if "ContainerEntrypoint" in algorithm else ("train",)
        return Launch(
            name=f"training-{self._state.name}-{host.name}",
            image=algorithm["TrainingImage"],
            arguments=tuple(arguments),
            entrypoint=tuple(algorithm.get("ContainerEntrypoint", ())),
            ml_dir=directory.root,
            environment=environment(self._request, self._state.arn, self._cloud),
            host=host.name,
            network=self._state.name,
            is_isolated=bool(self._request.get("EnableNetworkIsolation")),
        )

    def _download(self) -> None:
        try:
            for channel in self._request.get("InputDataConfig", []):
                self._refuse_when_closing()
                self._download_channel(channel)
            if "CheckpointConfig" in self._request:
                self._copy_checkpoints_in()
        except DownloadError as error:
            message = f"ClientError: Data download failed:{error}"
            raise JobFailedError(message) from error

    def _download_channel(self, channel: Mapping[str, Any]) -> None:
        s3 = self._cloud.client("s3")
        source = channel["DataSource"]["S3DataSource"]
        objects = find_objects(s3, channel)
        receivers = self._cluster.receivers(source.get("InstanceGroupNames"))
        for index, receiver in enumerate(receivers):
            sharded = source.get("S3DataDistributionType") == "ShardedByS3Key"
            part = shard(objects, index, len(receivers)) if sharded else objects
            directory = self._directory(receiver)
            read_only = channel_mode(self._request, channel) == "FastFile"
            download(s3, part, directory.channel(channel["ChannelName"]), read_only=read_only)
            prefix = S3Location.parse(source["S3Uri"]).key
            directory.write_manifest(channel["ChannelName"], [prefix, *(str(item.location) for item in part)])

    def _copy_checkpoints_in(self) -> None:
        location = S3Location.parse(self._request["CheckpointConfig"]["S3Uri"])
        path = checkpoint_path(self._request)
        directories = [host.directory.local_path(path) for host in self._hosts]
        self._checkpoints = CheckpointSync(self._cloud.client("s3"), location, directories)
        uris = self._checkpoints.copy_in()
        for host in self._hosts:
            host.directory.write_manifest("checkpoints", [location.key, *uris])

    def _directory(self, receiver: Host) -> MlDirectory:
        return next(host.directory for host in self._hosts if host.name == receiver.name)

    def _start_hosts(self) -> None:
        if self._checkpoints is not None:
            self._checkpoints.start()
        try:
            for host in self._hosts:
                host.start(self._engine, self._cloud, self._metrics, self._note_exit)
        except EngineLostError as error:
            message = f"{INTERNAL_ERROR} ({error})"
            raise JobFailedError(message) from error
        except ContainerError as error:
            # That it is an AlgorithmError is a guess: the image is the user's.
            message = f"AlgorithmError: {error}"
            raise JobFailedError(message) from error

    def _note_exit(self, host: TrainingHost, code: int) -> None:
        self._news.put(_Exit(host, code))

    def _wait(self, started: float) -> str:
        """Wait until every container has ended and return the job's secondary status to end with.

        :param started: ``time.monotonic()`` at the start of the time that MaxRuntimeInSeconds counts
        """
        outcome = "Completed"
        deadline: float | None = started + self._max_runtime_seconds()
        running = {host.name for host in self._hosts}
        while running:
            try:
                news = self._news.get(timeout=None if deadline is None else max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                outcome, deadline = "MaxRuntimeExceeded", None
                self._state.advance("Stopping")
                self._stop_hosts()
                continue
            if isinstance(news, _Exit):
                running.discard(news.host.name)
                # A container that a stop ends may give any exit code.
                if news.code != 0 and outcome == "Completed" and not self._state.is_stop_requested:
                    raise JobFailedError(_failure_reason(news))
            elif outcome == "Completed":
                outcome, deadline = "Stopped", None
                self._stop_hosts()
        return outcome

    def _max_runtime_seconds(self) -> float:
        return float(self._state.describe()["StoppingCondition"]["MaxRuntimeInSeconds"])

    def _keep(self, outcome: str) -> _End:
        self._state.advance("Uploading")
        if self._checkpoints is not None:
            self._checkpoints.close()
        model, output = output_artifacts(self._request)
        s3 = self._cloud.client("s3")
        try:
            model.upload(s3, [host.directory.model for host in self._hosts], self._root)
            output.upload(s3, [host.directory.output_data for host in self._hosts], self._root)
        except UploadError as error:
            message = f"ClientError: Artifact upload failed:{error}"
            raise JobFailedError(message) from error
        self._state.set_training_end()
        self._publish_metrics()
        return _End("Completed" if outcome == "Completed" else "Stopped", outcome)

    def _fail(self, reason: str) -> _End:
        # The end of a failed job is the moment when the failure is seen.
        self._state.set_training_end()
        self._stop_hosts()
        if self._checkpoints is not None:
            self._checkpoints.close()
        self._publish_metrics()
        return _End("Failed", "Failed", reason)

    def _publish_metrics(self) -> None:
        self._metrics.flush()
        self._state.set_metrics(self._metrics.final())

    def _stop_hosts(self) -> None:
        """Stop all hosts at once; each has the whole grace period."""
        threads = [threading.Thread(target=host.stop, args=(self._grace_seconds,), daemon=True) for host in self._hosts]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _clean_up(self) -> None:
        if self._checkpoints is not None:
            # Whoever still watched the directory would take its end for a wish to delete every checkpoint.
            self._checkpoints.close()
        shutil.rmtree(self._root, ignore_errors=True)


def _failure_reason(ended: _Exit) -> str:
    """Return what the container left in its failure file, with its exit code, within the limit of FailureReason.

    A container that was killed for want of memory had no time for a failure file.
    """
    suffix = f", exit code: {ended.code}"
    text = ended.host.directory.failure_text()
    if ended.host.ending is Ending.LOST:
        return f"{INTERNAL_ERROR} ({Ending.LOST.value})"
    if ended.host.ending is Ending.OUT_OF_MEMORY and not text:
        return _OUT_OF_MEMORY
    return f"AlgorithmError: {text}"[: 1024 - len(suffix)] + suffix
