"""Where a model comes from: job, image, code and data, as a record that outlives all of them.

Owns what is written down, and in which form. Makes no call; knows neither Airflow nor boto3.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sagemaker_byoc.run import RunIdentity

__all__ = ["DataChannel", "DataObject", "Lineage"]


@dataclass(frozen=True)
class DataObject:
    """One object of the training data.

    :param key: behind the channel's prefix, so that the same data elsewhere are told as the same
    :param etag: of its content, by S3
    """

    key: str
    etag: str
    size: int


@dataclass(frozen=True)
class DataChannel:
    """What one channel of a training job read.

    :param uri: empty where the data do not lie in S3
    :param objects: None when they could not be listed, or are too many
    :param changed: how many of them were written after the job began, so that it may have read others
    """

    name: str
    uri: str
    objects: Sequence[DataObject] | None = None
    changed: int = 0


@dataclass(frozen=True)
class Lineage:
    """Where one model comes from.

    :param job: the answer of DescribeTrainingJob
    :param metrics: last value by metric
    :param channels: of the job
    :param data_date: ISO 8601, None when unknown
    :param git_commit: None when unknown
    """

    job: Mapping[str, Any]
    run: RunIdentity
    metrics: Mapping[str, float]
    channels: Sequence[DataChannel]
    data_date: str | None = None
    git_commit: str | None = None

    @property
    def image_digest(self) -> str:
        """Digest of the image that the job trained in; empty when its URI names none."""
        image = self.job.get("AlgorithmSpecification", {}).get("TrainingImage", "")
        return str(image.partition("@")[2])

    @property
    def data_digest(self) -> str:
        """A hash over channel, key, ETag and size of all objects; empty unless all are known."""
        lines = []
        for channel in sorted(self.channels, key=lambda channel: channel.name):
            if channel.objects is None:
                return ""
            ordered = sorted(channel.objects, key=lambda found: found.key)
            lines += [f"{channel.name}\t{found.key}\t{found.etag}\t{found.size}\n" for found in ordered]
        return hashlib.sha256("".join(lines).encode()).hexdigest() if lines else ""

    @property
    def changed_objects(self) -> int:
        """How many objects were written after the job began."""
        return sum(channel.changed for channel in self.channels)

    def facts(self) -> dict[str, str]:
        """Return what is worth a look in the registry itself, as short texts; what is unknown is left out."""
        known = [channel.objects for channel in self.channels if channel.objects is not None]
        facts = {
            "training_job": self.job["TrainingJobName"],
            "image_digest": self.image_digest,
            "git_commit": self.git_commit or "",
            "data_date": self.data_date or "",
            "data_digest": f"sha256:{self.data_digest}" if self.data_digest else "",
            "data_objects": str(sum(map(len, known))) if self.data_digest else "",
            "data_changed_since_training": str(self.changed_objects or ""),
            "airflow:dag_id": self.run.dag_id,
            "airflow:run_id": self.run.run_id,
            **{f"data:{channel.name}": channel.uri for channel in self.channels},
        }
        return {name: text for name, text in facts.items() if text}

    def record(self) -> bytes:
        """Return everything as JSON text: metrics first, then job, run and each object of the data."""
        algorithm = self.job.get("AlgorithmSpecification", {})
        return _json(
            {
                "metrics": {name: {"value": value} for name, value in self.metrics.items()},
                "training_job": {
                    "name": self.job["TrainingJobName"],
                    "arn": self.job["TrainingJobArn"],
                    "started": self.job.get("TrainingStartTime"),
                    "ended": self.job.get("TrainingEndTime"),
                    "image": algorithm.get("TrainingImage"),
                    "image_digest": self.image_digest or None,
                    "hyperparameters": self.job.get("HyperParameters", {}),
                },
                "git_commit": self.git_commit,
                "airflow": {"dag_id": self.run.dag_id, "run_id": self.run.run_id, "run_type": self.run.run_type},
                "data": {
                    "date": self.data_date,
                    "digest": self.data_digest or None,
                    "changed_since_training": self.changed_objects,
                    "channels": [_channel(channel) for channel in self.channels],
                },
            }
        )


def _channel(channel: DataChannel) -> dict[str, Any]:
    objects = None if channel.objects is None else [vars(found) for found in channel.objects]
    return {"name": channel.name, "uri": channel.uri, "objects": objects}


def _json(content: Any) -> bytes:
    def as_text(moment: datetime) -> str:
        return moment.isoformat()

    return json.dumps(content, indent=1, default=as_text).encode()
