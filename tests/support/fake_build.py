"""ECR, S3 and CodeBuild in the table of answers that stands for AWS."""

from __future__ import annotations

import base64
import io
import zipfile
from datetime import datetime, timedelta, timezone
from typing import Any

from tests.support.fake_aws import AwsSays, FakeAws

__all__ = ["DIGEST", "FakeBuild", "digest_of"]

DIGEST = "sha256:" + "a" * 64
"""Of the image that the first push leaves."""
_REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def digest_of(number: int) -> str:
    """Return the digest of one of the images, which are counted from 0 as they come."""
    return DIGEST if number == 0 else f"sha256:{number:064x}"


class FakeBuild:
    """A registry without images and a CodeBuild project without builds.

    :param outcome: status that a build has at the second look
    :param pushes: whether a build that ends leaves its image behind
    :param images: when each was pushed, by tag; each has a digest of its own
    :param elsewhere: digests of images in other registries and of base images, by repository
    :param policies: lifecycle policies, by repository
    :param registry_endpoint: what ECR's tokens are said to be good for
    :param tokens: how many were given out
    """

    def __init__(self, aws: FakeAws) -> None:
        self.outcome = "SUCCEEDED"
        self.pushes = True
        self.registry_endpoint = f"https://{_REGISTRY}"
        self.tokens = 0
        self.repositories = {"iris"}
        self.images: dict[str, datetime] = {}
        self.elsewhere: dict[str, str] = {}
        self.policies: dict[str, str] = {}
        self.objects: dict[str, bytes] = {}
        self.builds: dict[str, dict[str, Any]] = {}
        aws.on("DescribeRepositories", self._describe_repositories)
        aws.on("CreateRepository", self._create_repository)
        aws.on("DescribeImages", self._describe_images)
        aws.on("GetLifecyclePolicy", self._get_lifecycle_policy)
        aws.on("PutLifecyclePolicy", self._put_lifecycle_policy)
        aws.on("GetAuthorizationToken", self._get_authorization_token)
        aws.on("HeadObject", self._head_object)
        aws.on("PutObject", self._put_object)
        aws.on("ListBuildsForProject", lambda **_: {"ids": list(reversed(self.builds))})
        aws.on("BatchGetBuilds", self._batch_get_builds)
        aws.on("StartBuild", self._start_build)
        aws.on("StopBuild", self._stop_build)
        aws.on("DescribeLogStreams", {"logStreams": [{"logStreamName": "1"}]})
        aws.on("GetLogEvents", {"events": [{"timestamp": 1, "message": "ERROR: no matching distribution"}]})

    def archive(self) -> dict[str, bytes]:
        """Return the files of the only archive in S3."""
        [content] = self.objects.values()
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def take(self, tag: str) -> None:
        """Hold one image more, as after a push."""
        pushed_at = datetime(2026, 1, 1, tzinfo=timezone.utc) + timedelta(hours=len(self.images))
        self.images.setdefault(tag, pushed_at)

    def _describe_repositories(self, **request: Any) -> dict[str, Any]:
        [name] = request["repositoryNames"]
        if name not in self.repositories:
            raise AwsSays("RepositoryNotFoundException", f"The repository with name '{name}' does not exist")
        return {"repositories": [{"repositoryName": name, "repositoryUri": f"{_REGISTRY}/{name}"}]}

    def _create_repository(self, **request: Any) -> dict[str, Any]:
        name = request["repositoryName"]
        if name in self.repositories:
            raise AwsSays("RepositoryAlreadyExistsException", f"'{name}' already exists")
        self.repositories.add(name)
        return {"repository": {"repositoryName": name, "repositoryUri": f"{_REGISTRY}/{name}"}}

    def _describe_images(self, **request: Any) -> dict[str, Any]:
        if "imageIds" not in request:
            return {"imageDetails": [self._details(tag) for tag in self.images]}
        tag = request["imageIds"][0]["imageTag"]
        if request["repositoryName"] in self.elsewhere:
            return {"imageDetails": [{"imageDigest": self.elsewhere[request["repositoryName"]], "imageTags": [tag]}]}
        if tag not in self.images:
            raise AwsSays("ImageNotFoundException", f"The image with imageId {tag} does not exist")
        return {"imageDetails": [self._details(tag)]}

    def _details(self, tag: str) -> dict[str, Any]:
        digest = digest_of(list(self.images).index(tag))
        return {"imageDigest": digest, "imageTags": [tag], "imagePushedAt": self.images[tag]}

    def _get_lifecycle_policy(self, **request: Any) -> dict[str, Any]:
        name = request["repositoryName"]
        if name not in self.policies:
            raise AwsSays("LifecyclePolicyNotFoundException", "Lifecycle policy does not exist")
        return {"repositoryName": name, "lifecyclePolicyText": self.policies[name]}

    def _put_lifecycle_policy(self, **request: Any) -> dict[str, Any]:
        self.policies[request["repositoryName"]] = request["lifecyclePolicyText"]
        return {}

    def _get_authorization_token(self, **request: Any) -> dict[str, Any]:
        self.tokens += 1
        token = base64.b64encode(f"AWS:token-{self.tokens}".encode()).decode()
        return {"authorizationData": [{"authorizationToken": token, "proxyEndpoint": self.registry_endpoint}]}

    def _head_object(self, **request: Any) -> dict[str, Any]:
        if request["Key"] not in self.objects:
            raise AwsSays("404", "Not Found", 404)
        return {}

    def _put_object(self, **request: Any) -> dict[str, Any]:
        self.objects[request["Key"]] = request["Body"].read()
        return {}

    def _start_build(self, **request: Any) -> dict[str, Any]:
        build_id = f"{request['projectName']}:{len(self.builds) + 1}"
        self.builds[build_id] = {
            "id": build_id,
            "buildStatus": "IN_PROGRESS",
            "currentPhase": "SUBMITTED",
            "environment": {
                "type": "LINUX_CONTAINER",
                "image": "standard",
                "computeType": "BUILD_GENERAL1_SMALL",
                "environmentVariables": request["environmentVariablesOverride"],
            },
            "logs": {"groupName": "/aws/codebuild/images", "streamName": "1"},
        }
        return {"build": self.builds[build_id]}

    def _batch_get_builds(self, **request: Any) -> dict[str, Any]:
        found = [dict(self.builds[each]) for each in request["ids"] if each in self.builds]
        for each in request["ids"]:
            if each in self.builds and self.builds[each]["buildStatus"] == "IN_PROGRESS":
                self._end(self.builds[each])
        return {"builds": found}

    def _end(self, build: dict[str, Any]) -> None:
        build["buildStatus"] = self.outcome
        if self.outcome != "SUCCEEDED":
            note = {"statusCode": "COMMAND_EXECUTION_ERROR", "message": "exit status 1"}
            build["phases"] = [{"phaseType": "BUILD", "phaseStatus": self.outcome, "contexts": [note]}]
        if self.pushes:
            variables = {each["name"]: each["value"] for each in build["environment"]["environmentVariables"]}
            self.take(variables["IMAGE_URI"].partition(":")[2])

    def _stop_build(self, **request: Any) -> dict[str, Any]:
        self.builds[request["id"]]["buildStatus"] = "STOPPED"
        return {"build": self.builds[request["id"]]}
