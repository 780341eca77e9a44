"""Calls to the model registry: groups and their versions.

Owns which version a retry finds again. Knows nothing of tasks or templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.model_package import APPROVED, REJECTED, ModelPackage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["ModelPackageHook"]

_EXISTS = "already exists"
_ABSENT = "does not exist"
_PAGE_SIZE = 100
_DESCRIPTION_LENGTH = 1024


class ModelPackageHook:
    """Model packages of one connection."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def ensure_group(self, request: Mapping[str, Any]) -> bool:
        """Make a group unless there is one of that name.

        :param request: CreateModelPackageGroup request
        :return: whether it was made now
        """
        client = self._connection.client("sagemaker")
        try:
            client.create_model_package_group(**request)
        except client.exceptions.ClientError as error:
            if _EXISTS in str(error):
                return False
            raise
        return True

    def create(self, request: Mapping[str, Any]) -> ModelPackage:
        """Make a version, or find the one that another call with the same ClientToken made."""
        answer = self._connection.client("sagemaker").create_model_package(**request)
        return self._look(answer["ModelPackageArn"])

    def describe(self, arn: str) -> ModelPackage | None:
        """Return a version; None when it does not exist (any more)."""
        answer = self._answer(arn)
        return ModelPackage.of(answer) if answer else None

    def containers(self, name: str, specification: str | None = None) -> Sequence[Mapping[str, Any]] | None:
        """Return the containers that a version consists of; None when it does not exist (any more).

        :param name: or ARN
        :param specification: one of the additional ones by its name; None for the one that every version has
        """
        answer = self._answer(name)
        if answer is None:
            return None
        others = {each["Name"]: each for each in answer.get("AdditionalInferenceSpecifications", ())}
        chosen = others.get(specification, {}) if specification else answer.get("InferenceSpecification", {})
        found: Sequence[Mapping[str, Any]] = chosen.get("Containers", [])
        return found

    def update(self, request: Mapping[str, Any]) -> None:
        """Change a version.

        :param request: UpdateModelPackage request
        :raises RequestError: there is no such version
        """
        client = self._connection.client("sagemaker")
        try:
            client.update_model_package(**request)
        except client.exceptions.ClientError as error:
            if _ABSENT in str(error):
                allowed = f"a model package that exists in {self._connection.region}"
                remedy = f"AWS says: {error}"
                raise RequestError("model_package", request["ModelPackageArn"], allowed, remedy) from error
            raise

    def reject(self, arn: str, reason: str) -> None:
        """Take a version out of the running, so that nobody approves it by mistake.

        :raises RequestError: there is no such version
        """
        description = reason[:_DESCRIPTION_LENGTH]
        self.update({"ModelPackageArn": arn, "ModelApprovalStatus": REJECTED, "ApprovalDescription": description})

    def of_job(self, group: str, training_job: str, since: datetime) -> ModelPackage | None:
        """Return the version that holds what a job made, if it was registered already.

        :param since: when the job was created; what is older is not looked at
        """
        for package in self._newest_first(group, CreationTimeAfter=since):
            if package.is_of_job(training_job):
                return package
        return None

    def newest_approved(self, group: str, challenger_job: str) -> ModelPackage | None:
        """Return the newest approved version, but for the challenger's own, which an earlier try may have approved."""
        for package in self._newest_first(group, ModelApprovalStatus=APPROVED):
            if not package.is_of_job(challenger_job):
                return package
        return None

    def _newest_first(self, group: str, **filters: Any) -> Iterator[ModelPackage]:
        """Yield the versions of a group in the order of their creation, each described only when it is asked for."""
        for arn in self._arns(group, **filters):
            yield self._look(arn)

    def _arns(self, group: str, **filters: Any) -> Iterator[str]:
        """Yield the versions' ARNs, the newest first; a group that is not there has none."""
        client = self._connection.client("sagemaker")
        pages = client.get_paginator("list_model_packages").paginate(
            ModelPackageGroupName=group,
            SortBy="CreationTime",
            SortOrder="Descending",
            PaginationConfig={"PageSize": _PAGE_SIZE},
            **filters,
        )
        try:
            for page in pages:
                yield from (summary["ModelPackageArn"] for summary in page["ModelPackageSummaryList"])
        except client.exceptions.ClientError as error:
            if _ABSENT not in str(error):
                raise

    def _answer(self, name: str) -> Mapping[str, Any] | None:
        client = self._connection.client("sagemaker")
        try:
            answer: Mapping[str, Any] = client.describe_model_package(ModelPackageName=name)
        except client.exceptions.ClientError as error:
            if _ABSENT in str(error):
                return None
            raise
        return answer

    def _look(self, arn: str) -> ModelPackage:
        answer = self._connection.client("sagemaker").describe_model_package(ModelPackageName=arn)
        return ModelPackage.of(answer)
