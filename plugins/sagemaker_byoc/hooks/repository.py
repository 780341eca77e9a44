"""Calls to ECR.

Owns the repository that takes our image, the login to registries, the digests of base images, and whether an image is
still there. Knows no builder.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from sagemaker_byoc.base_image import Bases
from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.retry import is_denied

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sagemaker_byoc.base_image import EcrImage
    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["ImageRepository", "RegistryLogin", "ecr_bases", "ecr_lacks", "in_region", "registry_login"]

log = logging.getLogger(__name__)

LARGEST_PAGE = 1000
"""Images that one call lists. Source: DescribeImages in the API reference of ECR."""

ELSEWHERE: Mapping[str, Any] = {"connect_timeout": 5, "read_timeout": 5, "retries": {"total_max_attempts": 2}}
"""How patiently another region is asked: a base image that cannot be looked up must not hold up the task."""


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

    def ensure_lifecycle_policy(self, policy: Mapping[str, Any]) -> None:
        """Put the policy where there is none, whoever made the repository; one that is there stays.

        :raises RequestError: ECR does not take it
        """
        client = self._connection.client("ecr")
        try:
            client.get_lifecycle_policy(repositoryName=self._name)
        except client.exceptions.LifecyclePolicyNotFoundException:
            self._put_lifecycle_policy(policy)

    def digest(self, tag: str) -> str | None:
        """Return the digest ``sha256:…`` of the image that carries the tag; None when there is none."""
        client = self._connection.client("ecr")
        try:
            answer = client.describe_images(repositoryName=self._name, imageIds=[{"imageTag": tag}])
        except (client.exceptions.ImageNotFoundException, client.exceptions.RepositoryNotFoundException):
            return None
        details = answer["imageDetails"]
        return str(details[0]["imageDigest"]) if details else None

    def newest(self, prefix: str) -> tuple[str, str] | None:
        """Return tag and digest of the image that was pushed last, of those with such a tag; None without one."""
        pages = (
            self._connection.client("ecr")
            .get_paginator("describe_images")
            .paginate(
                repositoryName=self._name,
                filter={"tagStatus": "TAGGED"},
                PaginationConfig={"PageSize": LARGEST_PAGE},
            )
        )
        found = [
            (image["imagePushedAt"], tag, str(image["imageDigest"]))
            for page in pages
            for image in page["imageDetails"]
            for tag in image.get("imageTags", [])
            if tag.startswith(prefix) and "imagePushedAt" in image
        ]
        return max(found)[1:] if found else None

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

    def _put_lifecycle_policy(self, policy: Mapping[str, Any]) -> None:
        client = self._connection.client("ecr")
        try:
            client.put_lifecycle_policy(repositoryName=self._name, lifecyclePolicyText=json.dumps(policy))
        except (client.exceptions.InvalidParameterException, client.exceptions.ValidationException) as error:
            allowed = f"a policy that ECR takes ({error})"
            raise RequestError("lifecycle_policy", dict(policy), allowed, "Nothing was built.") from error


def registry_login(connection: AwsConnection, host: str) -> RegistryLogin:
    """Ask ECR for a token, which is good for every registry of the region that our role may use.

    The registry is the one that was asked for, as on AWS always. Only where the token's own endpoint is a loopback
    address, which no ECR of AWS has, the images lie there: that is how an emulated ECR says where its registry listens.
    The images keep the names that ECR gave them.

    :param connection: of the registry's region
    :param host: of the registry, as it stands in the names of images
    """
    [data, *_] = connection.client("ecr").get_authorization_token()["authorizationData"]
    username, _, password = base64.b64decode(data["authorizationToken"]).decode().partition(":")
    endpoint = urlsplit(data.get("proxyEndpoint", ""))
    return RegistryLogin(endpoint.netloc if _is_loopback(endpoint.hostname or "") else host, username, password)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def in_region(connection: AwsConnection, region: str) -> AwsConnection:
    """Return the same connection for a region, with little patience when it is another one."""
    if region == connection.region:
        return connection
    return replace(connection, region_name=region, botocore_config={**ELSEWHERE, **(connection.botocore_config or {})})


def ecr_bases(connection: AwsConnection, images: Mapping[str, EcrImage]) -> Bases:
    """Look up the digests of images in ECR, of any account and region: one call each.

    What cannot be looked up is told in the log, and the task goes on: a builder that needs it will say it better.

    :param images: by the name that the Dockerfile has for them
    """
    digests: dict[str, str] = {}
    unknown: list[str] = []
    for name, image in images.items():
        client = in_region(connection, image.region).client("ecr")
        wanted = {
            "registryId": image.account,
            "repositoryName": image.repository,
            "imageIds": [{"imageTag": image.tag}],
        }
        try:
            [details, *_] = client.describe_images(**wanted)["imageDetails"]
        except Exception as error:  # noqa: BLE001 - the builder meets it too, when there is something to build
            log.warning("ECR does not tell the digest of the base image %s: %s", name, error)
            unknown.append(name)
        else:
            digests[name] = str(details["imageDigest"])
            log.info("The base image %s is %s.", name, digests[name])
    return Bases(digests, unknown=unknown)


def ecr_lacks(connection: AwsConnection, image: EcrImage) -> bool:
    """Tell whether ECR surely does not hold an image (any more), whatever it was once named by.

    One that may not be looked at counts as held, which the log tells: the role that pulls it may have the right.
    """
    client = in_region(connection, image.region).client("ecr")
    wanted = {"registryId": image.account, "repositoryName": image.repository, "imageIds": [image.image_id]}
    try:
        client.describe_images(**wanted)
    except (client.exceptions.ImageNotFoundException, client.exceptions.RepositoryNotFoundException):
        return True
    except client.exceptions.ClientError as error:
        if not is_denied(error):
            raise
        log.warning("Whether ECR still holds the image %s cannot be told: %s", image.repository, error)
    return False
