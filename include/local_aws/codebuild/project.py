"""CodeBuild projects.

Owns their operations and what a project may ask for here. Must not know builds.
"""

from __future__ import annotations

import copy
import datetime as dt
import re
import threading
from typing import TYPE_CHECKING, Any

import botocore.exceptions

from local_aws.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from local_aws.cloud import Cloud
    from local_aws.service import Operation, Request, Response

__all__ = [
    "Projects",
    "check_artifacts",
    "check_logs",
    "check_source",
    "check_variables",
    "invalid_input",
    "refuse_members",
]

_PAGE = 100
_DEFAULT_TIMEOUT_MINUTES = 60
_DEFAULT_QUEUED_MINUTES = 480
_SOURCES = ("S3", "NO_SOURCE")
_MISSING_HERE = {
    "secondarySources": "put everything into one source",
    "secondarySourceVersions": "put everything into one source",
    "secondaryArtifacts": "upload files with commands of the buildspec",
    "sourceVersion": "give the object its own key",
    "fileSystemLocations": "fetch files with commands of the buildspec",
}
_GROUP = re.compile(r"[.\-_/#A-Za-z0-9]{1,512}")
_STREAM = re.compile(r"[^:*]{1,400}")
"""Names that CloudWatch Logs takes (API reference, CreateLogGroup and CreateLogStream); of the stream's 512 characters
the rest is for the build's number."""


def invalid_input(message: str) -> AwsError:
    """Return CodeBuild's error for a request that makes no sense."""
    return AwsError("InvalidInputException", message)


def check_source(source: Mapping[str, Any]) -> None:
    """Refuse a source that cannot be built here.

    :raises AwsError: ``InvalidInputException``
    """
    kind = source["type"]
    if kind not in _SOURCES:
        message = f"Source type {kind} is not supported by the local AWS: use {' or '.join(_SOURCES)}"
        raise invalid_input(message)
    if kind == "S3" and "/" not in (source.get("location") or ""):
        raise invalid_input("Invalid project source: location must be a valid S3 source")
    if kind == "NO_SOURCE" and "\n" not in (source.get("buildspec") or ""):
        raise invalid_input("Project source type NO_SOURCE requires an inline buildspec")


def check_variables(variables: Sequence[Mapping[str, str]]) -> None:
    """Refuse variables whose values lie in another service.

    :raises AwsError: ``InvalidInputException``
    """
    for variable in variables:
        kind = variable.get("type", "PLAINTEXT")
        if kind != "PLAINTEXT":
            message = f"Environment variable {variable['name']} has type {kind}: the local AWS supports PLAINTEXT only"
            raise invalid_input(message)


def check_artifacts(artifacts: Mapping[str, Any]) -> None:
    """Refuse artifacts, since nothing here stores them.

    :raises AwsError: ``InvalidInputException``
    """
    kind = artifacts["type"]
    if kind != "NO_ARTIFACTS":
        message = f"Artifacts type {kind} is not supported by the local AWS: use NO_ARTIFACTS"
        raise invalid_input(message)


def check_logs(logs: Mapping[str, Any]) -> None:
    """Refuse logs that would go elsewhere than to CloudWatch, or to a name that it does not take.

    :param logs: ``LogsConfig``
    :raises AwsError: ``InvalidInputException``
    """
    if logs.get("s3Logs", {}).get("status") == "ENABLED":
        raise invalid_input("Logs in S3 are not supported by the local AWS: disable s3Logs")
    cloud_watch = logs.get("cloudWatchLogs", {})
    if cloud_watch.get("status") == "DISABLED":
        raise invalid_input("The local AWS always keeps the logs in CloudWatch Logs: enable cloudWatchLogs")
    for member, allowed in (("groupName", _GROUP), ("streamName", _STREAM)):
        if member in cloud_watch and not allowed.fullmatch(cloud_watch[member]):
            message = f"cloudWatchLogs.{member} is {cloud_watch[member]!r}; it must match {allowed.pattern}"
            raise invalid_input(message)


def refuse_members(request: Mapping[str, Any], missing: Mapping[str, str]) -> None:
    """Refuse members that would make the build another one.

    :param missing: member → what to do instead
    :raises AwsError: ``InvalidInputException``
    """
    for member, instead in missing.items():
        if request.get(member):
            message = f"{member} is not supported by the local AWS: {instead}"
            raise invalid_input(message)


class Projects:
    """All projects.

    :param cloud: where IAM is
    """

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._projects: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {
            "CreateProject": self._create,
            "UpdateProject": self._update,
            "BatchGetProjects": self._batch_get,
            "ListProjects": self._list,
            "DeleteProject": self._delete,
        }

    def get(self, name: str) -> dict[str, Any]:
        """Return a project.

        :raises AwsError: ``ResourceNotFoundException``
        """
        with self._lock:
            if name not in self._projects:
                message = f"Project cannot be found: {self._arn(name)}"
                raise AwsError("ResourceNotFoundException", message)
            return copy.deepcopy(self._projects[name])

    def _create(self, request: Request) -> Response:
        self._check(request)
        name, now = request["name"], dt.datetime.now(dt.timezone.utc)
        project = {
            "timeoutInMinutes": _DEFAULT_TIMEOUT_MINUTES,
            "queuedTimeoutInMinutes": _DEFAULT_QUEUED_MINUTES,
            "cache": {"type": "NO_CACHE"},
            "encryptionKey": self._cloud.arn("kms", "alias/aws/s3"),
            "badge": {"badgeEnabled": False},
            "projectVisibility": "PRIVATE",
            **request,
            "arn": self._arn(name),
            "created": now,
            "lastModified": now,
        }
        with self._lock:
            if name in self._projects:
                message = f"Project already exists: {self._arn(name)}"
                raise AwsError("ResourceAlreadyExistsException", message)
            self._projects[name] = project
        return {"project": project}

    def _update(self, request: Request) -> Response:
        changed = {**self.get(request["name"]), **request}
        self._check(changed)
        changed["lastModified"] = dt.datetime.now(dt.timezone.utc)
        with self._lock:
            self._projects[request["name"]] = changed
        return {"project": changed}

    def _batch_get(self, request: Request) -> Response:
        wanted = [name.rpartition("/")[2] for name in request["names"]]
        with self._lock:
            return {
                "projects": [self._projects[name] for name in wanted if name in self._projects],
                "projectsNotFound": [name for name in wanted if name not in self._projects],
            }

    def _list(self, request: Request) -> Response:
        member = {"CREATED_TIME": "created", "LAST_MODIFIED_TIME": "lastModified"}.get(
            request.get("sortBy", ""), "name"
        )
        with self._lock:
            ordered = sorted(self._projects.values(), key=lambda project: (project[member], project["name"]))
        names = [project["name"] for project in ordered]
        if request.get("sortOrder") == "DESCENDING":
            names.reverse()
        page = names[read_token(request) :]
        return {"projects": page[:_PAGE], "nextToken": next_token(request, page, _PAGE)}

    def _delete(self, request: Request) -> Response:
        with self._lock:
            self._projects.pop(request["name"].rpartition("/")[2], None)
        return {}

    def _check(self, project: Mapping[str, Any]) -> None:
        check_source(project["source"])
        check_variables(project["environment"].get("environmentVariables", []))
        check_artifacts(project["artifacts"])
        check_logs(project.get("logsConfig", {}))
        refuse_members(project, _MISSING_HERE)
        self._check_role(project["serviceRole"])

    def _check_role(self, role: str) -> None:
        try:
            self._cloud.client("iam").get_role(RoleName=role.rpartition("/")[2])
        except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
            message = (
                f"CodeBuild is not authorized to perform: sts:AssumeRole on service role {role}; it does not exist"
            )
            raise invalid_input(message) from error

    def _arn(self, name: str) -> str:
        return self._cloud.arn("codebuild", f"project/{name}")


def read_token(request: Request) -> int:
    """Return the position at which the page begins.

    :raises AwsError: when the token is none that was given
    """
    token = request.get("nextToken") or "0"
    if not token.isascii() or not token.isdecimal() or len(token) > 9:
        raise invalid_input("Invalid nextToken")
    return int(token)


def next_token(request: Request, rest: Sequence[str], size: int) -> str | None:
    """Return the token of the page after one of this size; None at the end."""
    return str(read_token(request) + size) if len(rest) > size else None
