"""Calls that make, describe, tag and find endpoint configurations.

Owns every call about them. Decides nothing. Knows nothing of tasks, deferral or templates.
"""

from __future__ import annotations

import logging
from itertools import islice
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.config_history import FAILED, SMOKE_TEST, KnownConfig
from sagemaker_byoc.restore_point import model_names
from sagemaker_byoc.run import tag_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["EndpointConfigHook"]

log = logging.getLogger(__name__)

_ABSENT = 'Could not find endpoint configuration "'
_EXISTS = 'Cannot create already existing endpoint configuration "'

MOST_LOOKED_AT = 200
"""How many configurations one listing looks into; each costs two calls."""


class EndpointConfigHook:
    """Endpoint configurations of one connection."""

    def __init__(self, connection: AwsConnection) -> None:
        self._connection = connection

    def ensure(self, request: Mapping[str, Any]) -> bool:
        """Make an endpoint configuration; one of that name holds the same content already, since the name says so.

        :return: whether it was made now
        """
        client = self._connection.client("sagemaker")
        try:
            client.create_endpoint_config(**request)
        except client.exceptions.ClientError as error:
            if _says(error, _EXISTS):
                return False
            raise
        return True

    def delete(self, config_name: str) -> None:
        """Delete an endpoint configuration; harmless when there is none of that name."""
        client = self._connection.client("sagemaker")
        try:
            client.delete_endpoint_config(EndpointConfigName=config_name)
        except client.exceptions.ClientError as error:
            if not _says(error, _ABSENT):
                raise

    def describe(self, config_name: str) -> Mapping[str, Any] | None:
        """Return what DescribeEndpointConfig says; None when the configuration does not exist (any more)."""
        client = self._connection.client("sagemaker")
        try:
            config: Mapping[str, Any] = client.describe_endpoint_config(EndpointConfigName=config_name)
        except client.exceptions.ClientError as error:
            if _says(error, _ABSENT):
                return None
            raise
        return config

    def tags(self, config_name: str) -> dict[str, str]:
        """Return the tags of an endpoint configuration; none when it does not exist any more."""
        config = self.describe(config_name)
        return self.tags_of(config["EndpointConfigArn"]) if config else {}

    def known(self, config_name: str) -> KnownConfig | None:
        """Return what an endpoint configuration tells of its deployment; None when it does not exist (any more)."""
        config = self.describe(config_name)
        if config is None:
            return None
        tags = self.tags_of(config["EndpointConfigArn"])
        return KnownConfig.of(config_name, config["CreationTime"], model_names(config), tags)

    def tags_of(self, arn: str) -> dict[str, str]:
        """Return the tags of anything that SageMaker has made."""
        pages = self._connection.client("sagemaker").get_paginator("list_tags").paginate(ResourceArn=arn)
        return {tag["Key"]: tag["Value"] for page in pages for tag in page["Tags"]}

    def tag(self, config_name: str, tags: Sequence[Mapping[str, str]]) -> bool:
        """Add tags to an endpoint configuration; those that it has by the same keys are overwritten.

        :return: False when it does not exist any more
        """
        config = self.describe(config_name)
        if config is None:
            return False
        self._connection.client("sagemaker").add_tags(ResourceArn=config["EndpointConfigArn"], Tags=list(tags))
        return True

    def note(self, config_name: str, verdict: str, *, also: Mapping[str, str] | None = None) -> None:
        """Keep how a test or a deployment ended as a tag of the configuration; a failure to do so is only logged.

        :param also: further tags, which are written by the same call
        """
        tags = {SMOKE_TEST: tag_value(verdict), **(also or {})}
        try:
            self.tag(config_name, [{"Key": key, "Value": value} for key, value in tags.items()])
        except Exception as error:  # noqa: BLE001 - the endpoint matters more than what is written about it
            log.warning("How it ended could not be noted on the configuration %s: %s", config_name, error)

    def verdict(self, *config_names: str | None) -> str:
        """Return how the smoke test of configurations ended that hold the same model; one that failed says so for all.

        :param config_names: None is passed over
        :return: empty before there was a test, and when none of them exists any more
        """
        found = [self.tags(name).get(SMOKE_TEST, "") for name in dict.fromkeys(config_names) if name]
        return next((each for each in found if each.startswith(FAILED)), next(filter(None, found), ""))

    def created(self, config_name: str) -> datetime | None:
        """Return when an endpoint configuration was made; None when it does not exist any more."""
        config = self.describe(config_name)
        created: datetime | None = config["CreationTime"] if config else None
        return created

    def deployed_to(self, endpoint_name: str, most: int, *, name_contains: str) -> list[KnownConfig]:
        """Return the configurations that this package made for an endpoint, newest first.

        :param most: stop after so many
        :param name_contains: what is in their names; two hundred names at most are looked into
        """
        return list(islice(self._deployed_to(endpoint_name, name_contains), most))

    def _deployed_to(self, endpoint_name: str, name_contains: str) -> Iterator[KnownConfig]:
        for name in islice(self._names(name_contains), MOST_LOOKED_AT):
            config = self.known(name)
            if config is not None and config.endpoint == endpoint_name:
                yield config

    def _names(self, name_contains: str) -> Iterator[str]:
        pages = self._connection.client("sagemaker").get_paginator("list_endpoint_configs")
        for page in pages.paginate(NameContains=name_contains, SortBy="CreationTime", SortOrder="Descending"):
            for config in page["EndpointConfigs"]:
                yield config["EndpointConfigName"]


def _says(error: Any, beginning: str) -> bool:
    """Tell refusals apart by their text: SageMaker answers all of them with ValidationException."""
    return str(error.response["Error"].get("Message", "")).startswith(beginning)
