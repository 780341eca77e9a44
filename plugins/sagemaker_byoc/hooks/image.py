"""Calls that bring an image into ECR: the repository, the archive in S3, and CodeBuild.

Owns every call to ECR, to S3 and to CodeBuild, and what a builder is: anything that fulfils ``Builder``. Knows
nothing of tasks, deferral or templates.
"""

from __future__ import annotations

import base64
import ipaddress
import tempfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from sagemaker_byoc.errors import ImageBuildError, RequestError
from sagemaker_byoc.image_build import BuildState, ImageOrder, start_build_request

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sagemaker_byoc.build_context import BuildContext
    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = [
    "Builder",
    "BuilderSettings",
    "CodeBuildBuilder",
    "ContextStore",
    "ImageRepository",
    "RegistryLogin",
]


@dataclass(frozen=True)
class RegistryLogin:
    """A way into the registry for twelve hours.

    :param host: where to push, with the port if there is one
    """

    host: str
    username: str
    password: str = field(repr=False)


class ImageRepository:
    """One ECR repository.

    :param name: without the registry, for example ``team/iris``
    """

    def __init__(self, connection: AwsConnection, name: str) -> None:
        self._connection = connection
        self._name = name

    def ensure(self, tags: list[dict[str, str]], *, create: bool) -> str:
        """Return the repository's URI; make the repository if it is missing and ``create`` allows it.

        A repository made here takes no tag twice and scans what is pushed.

        :raises RequestError: the name is none, or the repository is missing and must not be made
        """
        request = self._connection.conform(
            "ecr",
            "CreateRepository",
            {
                "repositoryName": self._name,
                "imageTagMutability": "IMMUTABLE",
                "imageScanningConfiguration": {"scanOnPush": True},
                "tags": tags,
            },
            field="repository",
        )
        uri = self._find()
        if uri is not None:
            return uri
        if not create:
            remedy = "Create it, or set create_repository=True."
            raise RequestError("repository", self._name, f"a repository of ECR in {self._connection.region}", remedy)
        return self._create(request)

    def digest(self, tag: str) -> str | None:
        """Return the digest ``sha256:…`` of the image that carries the tag; None when there is none."""
        client = self._connection.client("ecr")
        try:
            answer = client.describe_images(repositoryName=self._name, imageIds=[{"imageTag": tag}])
        except (client.exceptions.ImageNotFoundException, client.exceptions.RepositoryNotFoundException):
            return None
        details = answer["imageDetails"]
        return str(details[0]["imageDigest"]) if details else None

    def previous_tag(self, prefix: str) -> str | None:
        """Return the tag of that prefix that was pushed last; None when there is none."""
        pages = (
            self._connection.client("ecr")
            .get_paginator("describe_images")
            .paginate(repositoryName=self._name, filter={"tagStatus": "TAGGED"})
        )
        found = [
            (image["imagePushedAt"], tag)
            for page in pages
            for image in page["imageDetails"]
            for tag in image.get("imageTags", [])
            if tag.startswith(prefix) and "imagePushedAt" in image
        ]
        return max(found)[1] if found else None

    def login(self, repository_uri: str) -> RegistryLogin:
        """Ask ECR for a token to push with.

        The registry is the one in the repository's URI, as on AWS always. Only where the token's own endpoint is a
        loopback address, which no ECR of AWS has, the images lie there: that is how an emulated ECR says where its
        registry listens. The image keeps the name that ECR gave it.

        :param repository_uri: ``<registry>/<repository>`` as ECR gave it
        """
        [data, *_] = self._connection.client("ecr").get_authorization_token()["authorizationData"]
        username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
        endpoint = urlsplit(data.get("proxyEndpoint", ""))
        host = endpoint.netloc if _is_loopback(endpoint.hostname or "") else repository_uri.partition("/")[0]
        return RegistryLogin(host, username, password)

    def _find(self) -> str | None:
        client = self._connection.client("ecr")
        try:
            answer = client.describe_repositories(repositoryNames=[self._name])
        except client.exceptions.RepositoryNotFoundException:
            return None
        return str(answer["repositories"][0]["repositoryUri"])

    def _create(self, request: Mapping[str, Any]) -> str:
        client = self._connection.client("ecr")
        try:
            return str(client.create_repository(**request)["repository"]["repositoryUri"])
        except client.exceptions.RepositoryAlreadyExistsException:
            # Another run was faster.
            answer = client.describe_repositories(repositoryNames=[self._name])
            return str(answer["repositories"][0]["repositoryUri"])


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True)
class ContextStore:
    """Where archives of build contexts lie in S3, each under the address of its content."""

    connection: AwsConnection
    bucket: str
    prefix: str

    def location(self, context: BuildContext) -> str:
        """Return ``<bucket>/<key>``, which is the form that CodeBuild wants."""
        return f"{self.bucket}/{self._key(context)}"

    def put(self, context: BuildContext) -> None:
        """Upload the archive, unless the same content lies there already.

        :raises RequestError: the bucket does not exist
        """
        client = self.connection.client("s3")
        key = self._key(context)
        if self._holds(key):
            return
        with tempfile.TemporaryFile() as stream:
            context.write_zip(stream)
            stream.seek(0)
            try:
                client.put_object(Bucket=self.bucket, Key=key, Body=stream)
            except client.exceptions.NoSuchBucket as error:
                raise RequestError("source_bucket", self.bucket, "a bucket that exists") from error

    def _key(self, context: BuildContext) -> str:
        return "/".join(part for part in (self.prefix.strip("/"), f"{context.address}.zip") if part)

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
            source_location=self._store.location(order.context),
            ended_builds=len(known),
            config=self._settings.config,
        )
        conformed = self._connection.conform("codebuild", "StartBuild", request)
        self._store.put(order.context)
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
