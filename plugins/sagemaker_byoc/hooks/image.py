"""Calls that have an image built: the archive in S3, and CodeBuild.

Owns every call to S3 and CodeBuild about an image, and what a builder is: anything that fulfils ``Builder``. Knows
nothing of tasks, deferral or templates.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sagemaker_byoc.base_image import Bases
from sagemaker_byoc.context_archive import write_zip
from sagemaker_byoc.errors import ImageBuildError, RequestError
from sagemaker_byoc.image_build import BuildState, start_build_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.image_build import ImageOrder

__all__ = [
    "Builder",
    "BuilderSettings",
    "CodeBuildBuilder",
    "ContextStore",
]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ContextStore:
    """Where archives of build contexts lie in S3, each under the address of its content and bases."""

    connection: AwsConnection
    bucket: str
    prefix: str

    def location(self, order: ImageOrder) -> str:
        """Return ``<bucket>/<key>``, which is the form that CodeBuild wants."""
        return f"{self.bucket}/{self._key(order)}"

    def put(self, order: ImageOrder) -> None:
        """Upload the archive, unless the same content lies there already.

        :raises RequestError: the bucket does not exist
        """
        client = self.connection.client("s3")
        key = self._key(order)
        if self._holds(key):
            return
        with tempfile.TemporaryFile() as stream:
            write_zip(order.context, stream, order.bases.references)
            stream.seek(0)
            try:
                client.put_object(Bucket=self.bucket, Key=key, Body=stream)
            except client.exceptions.NoSuchBucket as error:
                raise RequestError("source_bucket", self.bucket, "a bucket that exists") from error

    def _key(self, order: ImageOrder) -> str:
        name = f"{order.context.address}{order.bases.suffix}.zip"
        return "/".join(part for part in (self.prefix.strip("/"), name) if part)

    def _holds(self, key: str) -> bool:
        client = self.connection.client("s3")
        try:
            client.head_object(Bucket=self.bucket, Key=key)
        except client.exceptions.ClientError as error:
            # HEAD has no body, so the status is all that tells; 403 is the answer for a missing key without ListBucket.
            if error.response["ResponseMetadata"]["HTTPStatusCode"] in (403, 404):
                return False
            raise
        return True


@dataclass(frozen=True)
class BuilderSettings:
    """What the user says about where images are built.

    :param project_name: of the CodeBuild project
    :param source_bucket: for archives of build contexts
    :param source_prefix: of their keys
    :param config: further members of the builder's own request
    :param secret_build_args: names of build arguments whose values must not be seen
    """

    project_name: str = ""
    source_bucket: str = ""
    source_prefix: str = "build-contexts"
    config: Mapping[str, Any] = field(default_factory=dict)
    secret_build_args: Sequence[str] = ()


class Builder(Protocol):
    """Whatever turns an order into an image in ECR."""

    def identify(self, names: Sequence[str]) -> Bases:
        """Tell what is known of base images that are not in ECR.

        A builder that could never ask their registries leaves them out, wherever it is run.
        """

    def start(self, order: ImageOrder) -> BuildState:
        """Adopt the build of this image that is running, or start one.

        A builder that works in this very process returns when the image is pushed, with a state that has ended, and
        raises ``ImageBuildError`` itself.
        """

    def look(self, build_id: str) -> BuildState:
        """Describe a build."""

    def stop(self, build_id: str) -> None:
        """End a build; one that has ended already is left as it is."""


class CodeBuildBuilder:
    """AWS CodeBuild: needs no Docker engine where Airflow runs.

    :raises RequestError: project or bucket is not given, or a build argument is secret
    """

    def __init__(self, connection: AwsConnection, settings: BuilderSettings) -> None:
        for name in ("project_name", "source_bucket"):
            if not getattr(settings, name):
                raise RequestError(name, getattr(settings, name), "a name: builder='codebuild' needs it")
        if settings.secret_build_args:
            # They would be plain text in the build's environment, which anybody sees who sees the build.
            raise RequestError(
                "secret_build_args",
                list(settings.secret_build_args),
                "nothing with builder='codebuild'",
                "Let the build read the value from Secrets Manager, with config.environmentVariablesOverride.",
            )
        self._connection = connection
        self._settings = settings
        self._store = ContextStore(connection, settings.source_bucket, settings.source_prefix)

    def identify(self, names: Sequence[str]) -> Bases:
        """Know nothing of registries other than ECR's: they cannot be asked without an engine."""
        if names:
            log.info(
                "A newer %s is not noticed: builder='codebuild' can follow base images in ECR only. Pin it by digest, "
                "or push it to a repository of ECR and take it from there.",
                ", ".join(names),
            )
        return Bases()

    def start(self, order: ImageOrder) -> BuildState:
        """Adopt the build of this image that is running, or start one.

        :raises RequestError: a member of the request is not allowed, or the project does not exist
        """
        known = [build for build in self._recent() if build.image_uri == order.image_uri]
        running = next((build for build in known if build.in_progress), None)
        if running is not None:
            return running
        request = start_build_request(
            order,
            project_name=self._settings.project_name,
            source_location=self._store.location(order),
            ended_builds=len(known),
            config=self._settings.config,
        )
        conformed = self._connection.conform("codebuild", "StartBuild", request)
        self._store.put(order)
        return BuildState.of(self._connection.client("codebuild").start_build(**conformed)["build"])

    def look(self, build_id: str) -> BuildState:
        """Describe a build.

        :raises ImageBuildError: CodeBuild does not know it
        """
        found = self._connection.client("codebuild").batch_get_builds(ids=[build_id])["builds"]
        if not found:
            message = f"CodeBuild in {self._connection.region} does not know the build {build_id}: it was deleted."
            raise ImageBuildError(message)
        return BuildState.of(found[0])

    def stop(self, build_id: str) -> None:
        """End a build; CodeBuild leaves one that has ended as it is."""
        self._connection.client("codebuild").stop_build(id=build_id)

    def _recent(self) -> list[BuildState]:
        """Describe the 100 newest builds of the project, the newest first."""
        client = self._connection.client("codebuild")
        project = self._settings.project_name
        try:
            ids = client.list_builds_for_project(projectName=project, sortOrder="DESCENDING")["ids"]
        except client.exceptions.ResourceNotFoundException as error:
            allowed = f"a CodeBuild project in {self._connection.region}"
            raise RequestError("project_name", project, allowed) from error
        builds = client.batch_get_builds(ids=ids[:100])["builds"] if ids else []
        return [BuildState.of(build) for build in builds]
