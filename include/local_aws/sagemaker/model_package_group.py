"""Groups of the model registry: a name under which versions of a model are counted.

Owns the groups' operations and the numbers of their versions. Must not know what a version holds.
"""

from __future__ import annotations

import datetime as dt
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from local_aws.errors import AwsError, validation
from local_aws.sagemaker.listing import Listing

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.cloud import Cloud
    from local_aws.sagemaker.tag import TagRegistry
    from local_aws.service import Operation, Request, Response

__all__ = ["ModelPackageGroup", "ModelPackageGroups"]

_LISTING = Listing(
    result="ModelPackageGroupSummaryList",
    name="ModelPackageGroupName",
    members=(
        "ModelPackageGroupName",
        "ModelPackageGroupArn",
        "ModelPackageGroupDescription",
        "CreationTime",
        "ModelPackageGroupStatus",
    ),
    descending=False,
)


@dataclass
class ModelPackageGroup:
    """A group as it is described, and the versions that it has.

    :param newest: the highest number that a version ever had; one that was deleted is not given again (guess)
    """

    description: Mapping[str, Any]
    versions: set[int] = field(default_factory=set)
    newest: int = 0

    @property
    def name(self) -> str:
        """The name as it was given."""
        return str(self.description["ModelPackageGroupName"])


class ModelPackageGroups:
    """All groups.

    :param tags: where the tags of a new group go
    """

    def __init__(self, cloud: Cloud, tags: TagRegistry) -> None:
        self._cloud = cloud
        self._tags = tags
        self._groups: dict[str, ModelPackageGroup] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "CreateModelPackageGroup": self._create,
            "DescribeModelPackageGroup": self._describe,
            "ListModelPackageGroups": self._list,
            "DeleteModelPackageGroup": self._delete,
        }

    def close(self) -> None:
        """Nothing runs here."""

    def find(self, name_or_arn: str) -> ModelPackageGroup:
        """Return a group.

        :raises AwsError: ``ValidationException`` when there is none
        """
        arn = self._arn(name_or_arn.rpartition("/")[2])
        with self._lock:
            group = self._groups.get(arn)
        if group is None:
            message = f"ModelPackageGroup {arn} does not exist."
            raise validation(message)
        return group

    def add_version(self, group: ModelPackageGroup) -> int:
        """Return the number of a new version."""
        with self._lock:
            group.newest += 1
            group.versions.add(group.newest)
            return group.newest

    def remove_version(self, name: str, version: int) -> None:
        """Say that a version is gone."""
        group = self.find(name)
        with self._lock:
            group.versions.discard(version)

    def _create(self, request: Request) -> Response:
        name = request["ModelPackageGroupName"]
        arn = self._arn(name)
        if "ManagedConfiguration" in request:
            raise validation("ManagedConfiguration is not supported by the local AWS: leave it out")
        self._tags.check(request.get("Tags", []))
        facts = {key: value for key, value in request.items() if key != "Tags"}
        with self._lock:
            if arn in self._groups:
                message = f"Model Package Group already exists: {arn}"
                raise validation(message)
            self._tags.register(arn, request.get("Tags", []))
            self._groups[arn] = ModelPackageGroup(
                {
                    **facts,
                    "ModelPackageGroupArn": arn,
                    "CreationTime": dt.datetime.now(dt.timezone.utc),
                    "CreatedBy": {},
                    "ModelPackageGroupStatus": "Completed",
                }
            )
        return {"ModelPackageGroupArn": arn}

    def _describe(self, request: Request) -> Response:
        return dict(self.find(request["ModelPackageGroupName"]).description)

    def _list(self, request: Request) -> Response:
        with self._lock:
            groups = [dict(group.description) for group in self._groups.values()]
        # Nobody shares anything with the one account that there is.
        return _LISTING.answer(request, [] if request.get("CrossAccountFilterOption") == "CrossAccount" else groups)

    def _delete(self, request: Request) -> Response:
        group = self.find(request["ModelPackageGroupName"])
        arn = group.description["ModelPackageGroupArn"]
        with self._lock:
            if group.versions:
                # The code is the model's, the wording a guess.
                message = f"ModelPackageGroup {arn} has {len(group.versions)} model packages. Delete them first."
                raise AwsError("ConflictException", message)
            self._groups.pop(arn, None)
        self._tags.forget(arn)
        return {}

    def _arn(self, name: str) -> str:
        # In lower case, as those of packages; of groups that is a guess.
        return self._cloud.arn("sagemaker", f"model-package-group/{name.lower()}")
