"""Calls that show what an account has, and what has changed since.

Owns the reading of everything that may go, and of everything that may refer to it. What may go is decided in
``leftover``.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.account import Account, Endpoint, EndpointConfig, Image, Model
from sagemaker_byoc.hooks.image_use import ImageUsers
from sagemaker_byoc.leftover import CONFIG, ENDPOINT_KIND, IMAGE, MODEL, endpoint_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.paced_client import PacedClient
    from sagemaker_byoc.leftover import Leftover

__all__ = ["Inventory"]

log = logging.getLogger(__name__)

OVERLAP = timedelta(seconds=15)
"""By how much two lists of changes overlap: AWS may show a change late."""

LARGEST_IMAGE_PAGE = 1000
TOLD_EVERY = 100
_SERVES_NOTHING = frozenset({"Failed", "Deleting"})


class Inventory:
    """What there is, read once and kept up to date.

    :param repositories: names of the ECR repositories whose images are looked at
    :param younger_than: what is younger stays in any case, so that its tags are not asked for
    """

    def __init__(
        self,
        connection: AwsConnection,
        client: PacedClient,
        repositories: Iterable[str],
        younger_than: timedelta,
    ) -> None:
        self.account = Account()
        self._connection = connection
        self._client = client
        self._repositories = list(repositories)
        self._younger_than = younger_than
        self._users = ImageUsers(connection, client, self.account, younger_than)
        self._since = datetime.now(timezone.utc)

    def read(self) -> Account:
        """Look at everything there is; what changes meanwhile is seen by the first refresh."""
        self._client.first_answer = None
        self._describe_configs(self._client.list("list_endpoint_configs", "EndpointConfigs"))
        self._describe_endpoints(self._client.list("list_endpoints", "Endpoints"))
        self._describe_models(self._client.list("list_models", "Models"))
        self._read_transform_jobs()
        for repository in self._repositories:
            self._read_images(repository)
        if self.account.images:
            self._users.read()
        self._distrust_lost_configs()
        self._since = self._client.first_answer or self._since
        return self.account

    def refresh(self, leftover: Leftover) -> None:
        """Look again at something that is about to be deleted, and at whatever may refer to it by now."""
        self._client.first_answer = None
        since = self._since - OVERLAP
        self._describe_endpoints(self._client.list("list_endpoints", "Endpoints", LastModifiedTimeAfter=since))
        # Lists may be late; of the endpoint that it was made for, the very state is asked.
        self._describe_endpoints(self._endpoint_of(leftover))
        # Configurations and models never change, so that only new ones can refer to something else.
        self._describe_configs(self._client.list("list_endpoint_configs", "EndpointConfigs", CreationTimeAfter=since))
        if leftover.kind in (MODEL, IMAGE):
            self._describe_endpoints({"EndpointName": name} for name in self._with_components())
            self._read_transform_jobs()
        self._describe_models(self._client.list("list_models", "Models", CreationTimeAfter=since))
        if leftover.kind == IMAGE:
            self._users.read(since)
        self._distrust_lost_configs()
        self._look_again(leftover)
        self._since = self._client.first_answer or self._since

    def _endpoint_of(self, leftover: Leftover) -> list[dict[str, str]]:
        if leftover.kind == ENDPOINT_KIND:
            return [{"EndpointName": leftover.name}]
        if leftover.kind == CONFIG and leftover.name in self.account.configs:
            return [{"EndpointName": endpoint_of(self.account.configs[leftover.name])}]
        return []

    def _look_again(self, leftover: Leftover) -> None:
        """Bring the tags of one thing up to date; what does not exist any more leaves the picture."""
        account, name = self.account, leftover.name
        if leftover.kind == IMAGE:
            self._look_at_image(name)
            return
        things: dict[str, Any] = account.models if leftover.kind == MODEL else account.configs
        if leftover.kind != ENDPOINT_KIND and name in things:
            tags = self._client.tags(things[name].arn)
            if tags is None:
                del things[name]
            else:
                things[name] = replace(things[name], tags=tags)

    def _describe_configs(self, listed: Iterable[Mapping[str, Any]]) -> None:
        new = _unknown(listed, "EndpointConfigName", self.account.configs)
        for name in _told("endpoint configurations", new):
            self._describe_config(name)

    def _describe_config(self, name: str) -> None:
        found = self._client.ask("describe_endpoint_config", EndpointConfigName=name)
        tags = self._client.tags(found["EndpointConfigArn"]) if found else None
        if tags is not None:
            self.account.configs[name] = EndpointConfig.of(found, tags)

    def _describe_endpoints(self, listed: Iterable[Mapping[str, Any]]) -> None:
        for name in _told("endpoints", [each["EndpointName"] for each in listed]):
            found = self._client.ask("describe_endpoint", EndpointName=name)
            tags = self._client.tags(found["EndpointArn"]) if found else None
            if tags is None:
                self.account.endpoints.pop(name, None)
                continue
            endpoint = Endpoint.of(found, tags)
            for config in endpoint.configs:
                # Its tags change with each deployment, and tell what it replaced.
                self._describe_config(config)
            self.account.endpoints[name] = self._with_its_components(endpoint)

    def _with_its_components(self, endpoint: Endpoint) -> Endpoint:
        """Add models and images of inference components, where variants name no models."""
        if not self._has_components(endpoint):
            return endpoint
        listed = self._client.list("list_inference_components", "InferenceComponents", EndpointNameEquals=endpoint.name)
        names = [each["InferenceComponentName"] for each in listed]
        found = [self._client.ask("describe_inference_component", InferenceComponentName=name) or {} for name in names]
        return endpoint.with_components(found)

    def _has_components(self, endpoint: Endpoint) -> bool:
        configs = self.account.configs
        return any(configs[name].has_components for name in endpoint.configs if name in configs)

    def _with_components(self) -> list[str]:
        return [name for name, endpoint in self.account.endpoints.items() if self._has_components(endpoint)]

    def _describe_models(self, listed: Iterable[Mapping[str, Any]]) -> None:
        new = _unknown(listed, "ModelName", self.account.models)
        for name in _told("models", new):
            found = self._client.ask("describe_model", ModelName=name)
            if found is None:
                continue
            is_old = datetime.now(timezone.utc) - found["CreationTime"] > self._younger_than
            model = Model.of(found, (self._client.tags(found["ModelArn"]) or {}) if is_old else {})
            self._users.read_packages(model.packages)
            self.account.models[name] = model

    def _read_transform_jobs(self) -> None:
        """Note the models of jobs that run; one that has ended since keeps its model until the next run."""
        for status in ("InProgress", "Stopping"):
            for job in self._client.list("list_transform_jobs", "TransformJobSummaries", StatusEquals=status):
                found = self._client.ask("describe_transform_job", TransformJobName=job["TransformJobName"])
                self.account.asked_models.update([found["ModelName"]] if found else [])

    def _read_images(self, repository: str) -> None:
        client = self._connection.client("ecr")
        pages = client.get_paginator("describe_images")
        pages = pages.paginate(repositoryName=repository, PaginationConfig={"PageSize": LARGEST_IMAGE_PAGE})
        try:
            for page in pages:
                self._add_images(page)
                self._client.wait()
        except client.exceptions.RepositoryNotFoundException:
            log.warning("There is no ECR repository %s: none of its images is looked at.", repository)

    def _look_at_image(self, name: str) -> None:
        repository, _, digest = name.partition("@")
        self.account.images.pop(name, None)
        self._client.wait()
        client = self._connection.client("ecr")
        try:
            self._add_images(client.describe_images(repositoryName=repository, imageIds=[{"imageDigest": digest}]))
        except (client.exceptions.ImageNotFoundException, client.exceptions.RepositoryNotFoundException):
            return

    def _add_images(self, answer: Mapping[str, Any]) -> None:
        for detail in answer["imageDetails"]:
            image = Image.of(detail)
            self.account.images[image.name] = image

    def _distrust_lost_configs(self) -> None:
        """Keep all models and images while an endpoint serves by a configuration that somebody deleted."""
        for endpoint in self.account.endpoints.values():
            lost = [name for name in endpoint.configs if name not in self.account.configs]
            if lost and endpoint.status not in _SERVES_NOTHING and MODEL not in self.account.unsure:
                reason = (
                    f"endpoint {endpoint.name} serves by the configuration {lost[0]}, which was deleted, so that "
                    "nobody can tell its models"
                )
                self.account.unsure.update({MODEL: reason, IMAGE: self.account.unsure.get(IMAGE, reason)})
                log.warning("No model and no image is deleted: %s.", reason)


def _unknown(listed: Iterable[Mapping[str, Any]], member: str, known: Mapping[str, Any]) -> list[str]:
    """Return the names of what is not in the picture, or was made again since it came there."""
    names = {each[member]: each["CreationTime"] for each in listed}
    return [name for name, created in names.items() if name not in known or known[name].created != created]


def _told(what: str, names: list[str]) -> Iterator[str]:
    """Yield the names, and say now and then how far it is."""
    for number, name in enumerate(names):
        if number and number % TOLD_EVERY == 0:
            log.info("Looked at %s of %s %s.", number, len(names), what)
        yield name
