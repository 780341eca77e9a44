"""The program ``train``: set the job up, hand it to the model, and say how it ended as SageMaker expects.

Exit code 0 means Completed (or Stopped, after SIGTERM). Anything else means Failed, with the text that was written
to ``/opt/ml/output/failure`` as the reason.
"""

import logging
import traceback

from sagemaker_container.configuration import (
    Hosts,
    find_checkpoint_directory,
    read_channels,
    read_hosts,
    read_hyperparameters,
)
from sagemaker_container.errors import ContainerError
from sagemaker_container.output import report
from sagemaker_container.paths import Paths
from sagemaker_container.stop import StopSignal

FAILURE_LIMIT = 1024
"""SageMaker shows this many characters of the failure file."""

logger = logging.getLogger(__name__)


def main() -> int:
    """Train, and return the exit code."""
    stop, paths, hosts = StopSignal(), Paths.from_environment(), Hosts()
    stop.listen()
    try:
        hosts = read_hosts(paths)
        _train(paths, hosts, stop)
    except ContainerError as error:
        return _fail(paths, hosts, str(error))
    except Exception as error:
        logger.exception("Training failed unexpectedly")
        return _fail(paths, hosts, _describe(error))
    return 0


def _train(paths: Paths, hosts: Hosts, stop: StopSignal) -> None:
    # torch takes seconds to import; by now SIGTERM is heard, and a broken import ends in the failure file.
    from model import train
    from sagemaker_container.checkpoint import CheckpointStore
    from sagemaker_container.cluster import joined
    from sagemaker_container.job import TrainingJob

    hyperparameters, channels = read_hyperparameters(paths), read_channels(paths)
    checkpoints = find_checkpoint_directory(paths)
    with joined(hosts) as cluster:
        job = TrainingJob(
            hyperparameters=hyperparameters,
            channels=channels,
            model_dir=paths.model,
            output_dir=paths.output_data,
            checkpoints=CheckpointStore(checkpoints) if checkpoints else None,
            cluster=cluster,
            stop_requested=stop.requested,
        )
        train(job)
        cluster.wait_for_all()


def _describe(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    return f"Unexpected {type(error).__name__}: {error}{place}. The traceback is in the log."


def _fail(paths: Paths, hosts: Hosts, reason: str) -> int:
    text = f"{hosts.current}: {reason}" if len(hosts.names) > 1 else reason
    report(f"training failed: {text}")
    paths.failure.parent.mkdir(parents=True, exist_ok=True)
    paths.failure.write_text(text[:FAILURE_LIMIT], encoding="utf-8")
    return 1
