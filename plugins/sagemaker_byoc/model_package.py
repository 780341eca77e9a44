"""A version in the model registry: what is asked of AWS to make one, and what one says about its model.

Owns the properties under which metrics and lineage are kept, written and read. Makes no call; knows neither Airflow nor
boto3.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["ModelPackage", "client_token", "group_name", "inference_specification", "package_arn", "properties"]

MOST_PROPERTIES = 50
KEY_LENGTH, VALUE_LENGTH = 128, 256
NOT_A_PROPERTY_CHARACTER = re.compile(r"[^\w .:/=+\-@]")
"""What CustomerMetadataProperties may hold: letters, digits, spaces and these. Source: botocore's sagemaker model."""

APPROVED, PENDING, REJECTED = "Approved", "PendingManualApproval", "Rejected"
"""ModelApprovalStatus, in AWS's words."""

JOB = "training_job"
METRIC = "metric:"
TOKEN_LENGTH = 32


@dataclass(frozen=True)
class ModelPackage:
    """A version as the registry describes it.

    :param group: name of its group
    :param training_job: name of the job that made the model; empty for a version that another program registered
    :param metrics: last value by metric
    """

    arn: str
    group: str
    version: int
    approval_status: str
    training_job: str
    metrics: Mapping[str, float]

    @classmethod
    def of(cls, description: Mapping[str, Any]) -> ModelPackage:
        """Read the answer of DescribeModelPackage."""
        kept = description.get("CustomerMetadataProperties", {})
        numbers = {name.removeprefix(METRIC): _number(text) for name, text in kept.items() if name.startswith(METRIC)}
        return cls(
            arn=description["ModelPackageArn"],
            group=description.get("ModelPackageGroupName", ""),
            version=description.get("ModelPackageVersion", 0),
            approval_status=description.get("ModelApprovalStatus", ""),
            training_job=kept.get(JOB, ""),
            metrics={name: value for name, value in numbers.items() if value is not None},
        )

    def is_in(self, group: str) -> bool:
        """Tell whether the version is one of this group, which a name or an ARN stands for."""
        return self.group == group.rpartition("/")[2]

    def is_of_job(self, name: str) -> bool:
        """Tell whether the version holds what this job made."""
        return self.training_job == _clean(name, VALUE_LENGTH)

    def metrics_as(self, names: Iterable[str]) -> dict[str, float]:
        """Return the metrics, also under those of these names that the registry keeps with other characters."""
        kept = {name: _clean(f"{METRIC}{name}", KEY_LENGTH).removeprefix(METRIC) for name in names}
        return {**self.metrics, **{name: self.metrics[key] for name, key in kept.items() if key in self.metrics}}

    def result(self) -> dict[str, Any]:
        """Return what downstream tasks need, as small JSON."""
        return {"model_package_arn": self.arn, "version": self.version, "approval_status": self.approval_status}


def properties(own: Mapping[str, Any], facts: Mapping[str, str], metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return the properties of a version, metrics last; at most 50, of which the user's own come first and win.

    :param own: the user's; kept as they are for the request's check
    """
    ours = {**facts, **{f"{METRIC}{name}": repr(float(value)) for name, value in metrics.items()}}
    clean = {_clean(name, KEY_LENGTH): _clean(text, VALUE_LENGTH) for name, text in ours.items()}
    new = [(name, text) for name, text in clean.items() if name not in own]
    return {**own, **dict(new[: max(0, MOST_PROPERTIES - len(own))])}


def inference_specification(given: Mapping[str, Any], job: Mapping[str, Any]) -> dict[str, Any]:
    """Return the specification with the job's image and artifact where it names no container.

    :param given: the user's, maybe empty
    :param job: result of TrainingJobSensor
    """
    if given.get("Containers"):
        return dict(given)
    container = {"Image": job["image_uri"], "ModelDataUrl": job["model_artifacts"]}
    digest = str(job["image_uri"]).partition("@")[2]
    return {**given, "Containers": [{**container, "ImageDigest": digest} if digest else container]}


def client_token(group: str, training_job: str) -> str:
    """Return the token that makes two tries of one registration one version."""
    return hashlib.sha256(f"{group}\n{training_job}".encode()).hexdigest()[:TOKEN_LENGTH]


def group_name(given: Any) -> str:
    """Return the group that was given, empty where a setting or a template leaves it out.

    :raises RequestError: it is no text
    """
    if given is not None and not isinstance(given, str):
        allowed = "the name or ARN of a model package group, or nothing"
        raise RequestError("model_package_group", given, allowed)
    text = (given or "").strip()
    return "" if text == "None" else text


def package_arn(given: Any) -> str:
    """Return the ARN of a version, given as such or as the result of the task that registered it.

    :raises RequestError: it is neither
    """
    arn = given.get("model_package_arn") if isinstance(given, dict) else given
    if not isinstance(arn, str) or ":model-package/" not in arn:
        raise RequestError("model_package", given, "the ARN of a model package, or what RegisterModelOperator returned")
    return arn


def _clean(text: str, length: int) -> str:
    return NOT_A_PROPERTY_CHARACTER.sub("_", text)[:length]


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
