"""Versions of the model registry: what a model is made of, what is known of it, and whether it may be deployed.

Owns their operations and the events about them. Must not know models or endpoints: whoever deploys a version asks for
its container. Packages without a group, which are for the AWS Marketplace, do not exist here.
"""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

from local_aws.errors import validation
from local_aws.sagemaker.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.sagemaker.event import EventPublisher
    from local_aws.sagemaker.model_package_group import ModelPackageGroups
    from local_aws.service import Operation, Request, Response

__all__ = ["ModelPackages"]

_LISTING = Listing(
    result="ModelPackageSummaryList",
    name="ModelPackageArn",
    members=(
        "ModelPackageGroupName",
        "ModelPackageVersion",
        "ModelPackageArn",
        "ModelPackageDescription",
        "CreationTime",
        "ModelPackageStatus",
        "ModelApprovalStatus",
        "ModelLifeCycle",
        "ModelPackageRegistrationType",
    ),
    descending=False,
)

_MISSING_HERE = {
    "SourceAlgorithmSpecification": "give InferenceSpecification",
    "ValidationSpecification": "leave it out",
    "CertifyForMarketplace": "leave it out",
}

_UPDATED = (
    "ModelApprovalStatus",
    "ModelPackageRegistrationType",
    "ApprovalDescription",
    "InferenceSpecification",
    "SourceUri",
    "ModelCard",
    "ModelLifeCycle",
)

_MOST_METADATA = 50
"""Entries of CustomerMetadataProperties; the service model bounds those of one request only."""


class ModelPackages:
    """All versions of all groups.

    :param events: where changes are told
    """

    def __init__(self, cloud: Cloud, groups: ModelPackageGroups, events: EventPublisher) -> None:
        self._cloud = cloud
        self._groups = groups
        self._events = events
        self._packages: dict[str, dict[str, Any]] = {}
        self._arns_by_token: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "CreateModelPackage": self._create,
            "DescribeModelPackage": self._describe,
            "ListModelPackages": self._list,
            "UpdateModelPackage": self._update,
            "DeleteModelPackage": self._delete,
        }

    def close(self) -> None:
        """Nothing runs here."""

    def container(self, name_or_arn: str) -> dict[str, Any]:
        """Return what a model that names this version runs.

        :raises AwsError: ``ValidationException`` when there is no such version, it is not approved, or it has no
            single container
        """
        package = self._find(name_or_arn)
        arn = package["ModelPackageArn"]
        if package.get("ModelApprovalStatus") != "Approved":
            # "The value of this parameter must be set to Approved to deploy the model" (API reference). A guess:
            # the wording, and that CreateModel is where it is said.
            message = f"ModelPackage {arn} is {package.get('ModelApprovalStatus')}; only Approved ones can be deployed."
            raise validation(message)
        containers = package.get("InferenceSpecification", {}).get("Containers", [])
        if len(containers) != 1:
            message = f"ModelPackage {arn} has {len(containers)} containers: the local AWS runs models with one only"
            raise validation(message)
        wanted = ("Image", "ModelDataUrl", "ModelDataSource", "Environment", "AdditionalModelDataSources")
        return {member: containers[0][member] for member in wanted if member in containers[0]}

    def _create(self, request: Request) -> Response:
        _check(request)
        group = self._groups.find(request["ModelPackageGroupName"])
        token = request.get("ClientToken")
        with self._lock:
            # "Guarantees that the call to this API is idempotent": that the first call's ARN comes back, also to
            # another request of the same token, is a guess.
            arn = self._arns_by_token.get(token) if token else None
            if arn is None:
                arn = self._add(request, group.name, self._groups.add_version(group))
                if token:
                    self._arns_by_token[token] = arn
        return {"ModelPackageArn": arn}

    def _add(self, request: Request, group_name: str, version: int) -> str:
        arn = self._arn(group_name, version)
        facts = {key: value for key, value in request.items() if key != "ClientToken"}
        package = {
            "ModelApprovalStatus": "PendingManualApproval",
            **facts,
            "ModelPackageGroupName": group_name,
            "ModelPackageVersion": version,
            "ModelPackageArn": arn,
            "CreationTime": dt.datetime.now(dt.timezone.utc),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
        }
        self._put(package)
        return arn

    def _put(self, package: dict[str, Any]) -> None:
        self._packages[package["ModelPackageArn"]] = package
        detail = {"CertifyForMarketplace": False, **package}
        self._events.publish("SageMaker Model Package State Change", package["ModelPackageArn"], _as_json(detail))

    def _describe(self, request: Request) -> Response:
        package = self._find(request["ModelPackageName"])
        # Required by the service model; that a version gives its group's name is a guess.
        return {"ModelPackageName": package["ModelPackageGroupName"], **package}

    def _list(self, request: Request) -> Response:
        with self._lock:
            packages = list(self._packages.values())
        wanted = [package for package in packages if self._is_wanted(request, package)]
        # A summary's name is its ARN, which every NameContains would match.
        return _LISTING.answer({key: value for key, value in request.items() if key != "NameContains"}, wanted)

    def _is_wanted(self, request: Request, package: Mapping[str, Any]) -> bool:
        status = request.get("ModelApprovalStatus")
        return (
            self._is_of_group(request, package)
            and (status is None or package["ModelApprovalStatus"] == status)
            # A version has no name of its own; that its group's counts is a guess.
            and request.get("NameContains", "").lower() in package["ModelPackageGroupName"].lower()
        )

    def _is_of_group(self, request: Request, package: Mapping[str, Any]) -> bool:
        """Without a group the list is of unversioned packages, unless the request says otherwise."""
        if "ModelPackageGroupName" in request:
            return bool(self._groups.find(request["ModelPackageGroupName"]).name == package["ModelPackageGroupName"])
        return request.get("ModelPackageType") in {"Versioned", "Both"}

    def _update(self, request: Request) -> Response:
        with self._lock:
            package = self._found(request["ModelPackageArn"])
            changes = {member: request[member] for member in _UPDATED if member in request}
            metadata = _merged_metadata(package, request)
            if metadata:
                changes["CustomerMetadataProperties"] = metadata
            more = request.get("AdditionalInferenceSpecificationsToAdd", [])
            if more:
                present = package.get("AdditionalInferenceSpecifications", [])
                changes["AdditionalInferenceSpecifications"] = [*present, *more]
            now = dt.datetime.now(dt.timezone.utc)
            kept = {key: value for key, value in package.items() if key != "CustomerMetadataProperties"}
            self._put({**kept, **changes, "LastModifiedTime": now})
        return {"ModelPackageArn": package["ModelPackageArn"]}

    def _delete(self, request: Request) -> Response:
        with self._lock:
            package = self._found(request["ModelPackageName"])
            arn = package["ModelPackageArn"]
            del self._packages[arn]
            self._arns_by_token = {token: known for token, known in self._arns_by_token.items() if known != arn}
        self._groups.remove_version(package["ModelPackageGroupName"], package["ModelPackageVersion"])
        return {}

    def _find(self, name_or_arn: str) -> dict[str, Any]:
        with self._lock:
            return self._found(name_or_arn)

    def _found(self, name_or_arn: str) -> dict[str, Any]:
        """Return a version by its ARN, or by what stands in it behind ``model-package/``; the lock is held."""
        name = name_or_arn.rpartition("model-package/")[2].lower()
        arn = self._cloud.arn("sagemaker", f"model-package/{name}")
        if arn not in self._packages:
            message = f"ModelPackage {arn} does not exist."
            raise validation(message)
        return self._packages[arn]

    def _arn(self, group_name: str, version: int) -> str:
        return self._cloud.arn("sagemaker", f"model-package/{group_name.lower()}/{version}")


def _check(request: Request) -> None:
    """Refuse what has no group, what a version may not have, and what does not exist here."""
    if "ModelPackageName" in request:
        if "ModelPackageGroupName" in request:
            message = (
                "Both ModelPackageName and ModelPackageGroupName are provided in the input. "
                "Cannot determine which one to use."
            )
            raise validation(message)
        raise validation("The local AWS has no model packages without a group: give ModelPackageGroupName")
    if "ModelPackageGroupName" not in request:
        raise validation("Missing ARN.")
    if request.get("Tags"):
        # Said by the API reference; the wording is a guess.
        raise validation("Tags cannot be given to a model package that belongs to a group: it has the group's tags.")
    for member, remedy in _MISSING_HERE.items():
        if request.get(member):
            message = f"The model package has {member}, which the local AWS does not have: {remedy}"
            raise validation(message)


def _merged_metadata(package: Mapping[str, Any], request: Request) -> dict[str, str]:
    """Return the properties after an update, which adds and replaces, and takes away what it names for that."""
    merged = {**package.get("CustomerMetadataProperties", {}), **request.get("CustomerMetadataProperties", {})}
    removed = set(request.get("CustomerMetadataPropertiesToRemove", []))
    kept = {key: value for key, value in merged.items() if key not in removed}
    if len(kept) > _MOST_METADATA:
        message = f"CustomerMetadataProperties would have {len(kept)} entries; at most {_MOST_METADATA} are allowed"
        raise validation(message)
    return kept


def _as_json(value: Any) -> Any:
    """Return a description as events give it, with times as text."""
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    if isinstance(value, dt.datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    return value
