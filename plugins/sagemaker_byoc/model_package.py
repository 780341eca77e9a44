"""A version in the model registry: what is asked of AWS to make one, and what one says about its model.

Owns the properties under which metrics and lineage are kept, written and read, and which model a version stands for.
Makes no call; knows neither Airflow nor boto3.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.held_out import is_held_out

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = ["ModelPackage", "client_token", "group_name", "inference_specification", "package_arn", "properties"]

MOST_PROPERTIES = 50
_HELD_OUT_PROPERTIES = 3
"""Digest of a held-out set and its two metrics."""

KEY_LENGTH, VALUE_LENGTH = 128, 256
NOT_A_PROPERTY_CHARACTER = re.compile(r"[^\w .:/=+\-@]")
"""What CustomerMetadataProperties may hold: letters, digits, spaces and these. Source: botocore's sagemaker model."""

APPROVED, PENDING, REJECTED = "Approved", "PendingManualApproval", "Rejected"
"""ModelApprovalStatus, in AWS's words."""

JOB = "training_job"
METRIC = "metric:"
HELD_OUT = "held_out_digest"
"""Which held-out set a version's metrics of one are about."""

CONTAINER_MEMBERS = ("ContainerHostname", "Image", "ModelDataUrl", "ModelDataSource", "Environment")
"""What a container of a version and one of a model have in common. Source: botocore's sagemaker model."""

ARTIFACT_MEMBERS = ("ModelDataUrl", "ModelDataSource", "AdditionalModelDataSources", "ModelPackageName")
MODEL_MEMBERS = ("ExecutionRoleArn", "VpcConfig", "EnableNetworkIsolation")
TOKEN_LENGTH = 32


@dataclass(frozen=True)
class ModelPackage:
    """A version as the registry describes it.

    :param group: name of its group
    :param training_job: name of the job that made the model; empty for a version that another program registered
    :param metrics: last value by metric
    :param properties: everything that is kept with it
    :param containers: what it runs, as its InferenceSpecification says
    """

    arn: str
    group: str
    version: int
    approval_status: str
    training_job: str
    metrics: Mapping[str, float]
    properties: Mapping[str, str] = field(default_factory=dict)
    containers: Sequence[Mapping[str, Any]] = ()

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
            properties=kept,
            containers=description.get("InferenceSpecification", {}).get("Containers", ()),
        )

    @property
    def held_out(self) -> str:
        """Digest of the held-out set that it was asked last; empty when it was asked none."""
        return self.properties.get(HELD_OUT, "")

    def is_in(self, group: str) -> bool:
        """Tell whether the version is one of this group, which a name or an ARN stands for."""
        return self.group == group.rpartition("/")[2]

    def is_of_job(self, name: str) -> bool:
        """Tell whether the version holds what this job made."""
        return self.training_job == _clean(name, VALUE_LENGTH)

    def metrics_as(self, names: Iterable[str], held_out: str = "") -> dict[str, float]:
        """Return the metrics, also under those of these names that the registry keeps with other characters.

        :param held_out: digest of the held-out set whose metrics count; those of another set are left out
        """
        counts = bool(held_out) and self.held_out == held_out
        metrics = {name: value for name, value in self.metrics.items() if counts or not is_held_out(name)}
        kept = {name: _clean(f"{METRIC}{name}", KEY_LENGTH).removeprefix(METRIC) for name in names}
        return {**metrics, **{name: metrics[key] for name, key in kept.items() if key in metrics}}

    def with_held_out(self, digest: str, metrics: Mapping[str, float]) -> dict[str, Any] | None:
        """Return the UpdateModelPackage request that keeps the metrics of a held-out set, in the place of another's.

        All properties are in it, since AWS does not say whether those that an update leaves out stay. None stands for
        a version that has no room for them.
        """
        ours = {HELD_OUT: digest, **{f"{METRIC}{name}": repr(float(value)) for name, value in metrics.items()}}
        old = [name for name in self.properties if is_held_out(name.removeprefix(METRIC)) and name not in ours]
        kept = {**{name: text for name, text in self.properties.items() if name not in old}, **ours}
        if len(kept) > MOST_PROPERTIES:
            return None
        removed = {"CustomerMetadataPropertiesToRemove": old} if old else {}
        return {"ModelPackageArn": self.arn, "CustomerMetadataProperties": kept, **removed}

    def model_like(self, other: Mapping[str, Any]) -> dict[str, Any]:
        """Return the CreateModel request, without a name, for this version with another model's role and settings.

        From its containers and not from its ARN, by which AWS makes models of approved versions only. A single one has
        the settings of the other model's where it says nothing itself.

        :param other: the answer of DescribeModel
        :raises RequestError: the version names no container
        """
        if not self.containers:
            allowed = "a version whose InferenceSpecification names its containers"
            raise RequestError("champion", self.arn, allowed, "Approve another version, or leave the held-out set out.")
        own = [{name: one[name] for name in CONTAINER_MEMBERS if one.get(name)} for one in self.containers]
        common = {name: other[name] for name in MODEL_MEMBERS if other.get(name)}
        if len(own) > 1:
            return {**common, "Containers": own}
        settings = other.get("PrimaryContainer", {})
        settings = {name: value for name, value in settings.items() if value and name not in ARTIFACT_MEMBERS}
        return {**common, "PrimaryContainer": {**settings, **own[0]}}

    def result(self) -> dict[str, Any]:
        """Return what downstream tasks need, as small JSON."""
        return {"model_package_arn": self.arn, "version": self.version, "approval_status": self.approval_status}


def properties(own: Mapping[str, Any], facts: Mapping[str, str], metrics: Mapping[str, float]) -> dict[str, Any]:
    """Return the properties of a version, metrics last, of which the user's own come first and win.

    At most 50, with room left for what a held-out set will tell.

    :param own: the user's; kept as they are for the request's check
    """
    ours = {**facts, **{f"{METRIC}{name}": repr(float(value)) for name, value in metrics.items()}}
    clean = {_clean(name, KEY_LENGTH): _clean(text, VALUE_LENGTH) for name, text in ours.items()}
    new = [(name, text) for name, text in clean.items() if name not in own]
    return {**own, **dict(new[: max(0, MOST_PROPERTIES - _HELD_OUT_PROPERTIES - len(own))])}


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
