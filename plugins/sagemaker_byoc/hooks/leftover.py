"""Calls that delete what was left behind.

Owns the look that comes immediately before each deletion, and what became of it. What may go is decided in
``leftover``.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.leftover import ENDPOINT_KIND, IMAGE, MODEL, may_go

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from sagemaker_byoc.hooks.account import Inventory
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.paced_client import PacedClient
    from sagemaker_byoc.leftover import Leftover, Retention

__all__ = ["Deletion", "LeftoverHook"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Deletion:
    """What became of a leftover.

    :param outcome: ``deleted``, ``gone`` (somebody else was faster), ``kept`` or ``failed``
    :param reason: why it was kept, or what AWS said
    """

    leftover: Leftover
    outcome: str
    reason: str = ""


class LeftoverHook:
    """The deletion of leftovers, one by one.

    :param inventory: in which they were found
    """

    def __init__(
        self, connection: AwsConnection, client: PacedClient, inventory: Inventory, retention: Retention
    ) -> None:
        self._connection = connection
        self._client = client
        self._inventory = inventory
        self._retention = retention

    def delete(self, found: Iterable[Leftover]) -> list[Deletion]:
        """Delete them in this order; one that fails holds up only what it refers to."""
        done: list[Deletion] = []
        for leftover in found:
            try:
                deletion = self._delete(leftover)
            except Exception as error:  # noqa: BLE001 - the next one may work, and the caller tells all of them
                deletion = Deletion(leftover, "failed", str(error))
            log.info("%s %s: %s. %s", leftover.kind, leftover.name, deletion.outcome, deletion.reason)
            done.append(deletion)
        return done

    def _delete(self, leftover: Leftover) -> Deletion:
        tags = self._tags(leftover)
        self._inventory.refresh(leftover)
        now = self._tags(leftover)
        if now is None:
            return Deletion(leftover, "gone", "Somebody has deleted it meanwhile.")
        if now != tags:
            return Deletion(leftover, "kept", "Its tags have changed meanwhile, so somebody uses it.")
        if not may_go(leftover, self._inventory.account, self._retention, datetime.now(timezone.utc)):
            return Deletion(leftover, "kept", "By now something refers to it, or may do so.")
        was_there = _CALLS.get(leftover.kind, LeftoverHook._delete_config)(self, leftover.name)
        self._forget(leftover)
        return Deletion(leftover, "deleted" if was_there else "gone")

    def _tags(self, leftover: Leftover) -> Any:
        """Return the tags that the picture shows of it; None when it is not there."""
        thing = self._things(leftover.kind).get(leftover.name)
        return None if thing is None else thing.tags

    def _things(self, kind: str) -> dict[str, Any]:
        account = self._inventory.account
        known: dict[str, dict[str, Any]] = {
            ENDPOINT_KIND: account.endpoints,
            MODEL: account.models,
            IMAGE: account.images,
        }
        return known.get(kind, account.configs)

    def _forget(self, leftover: Leftover) -> None:
        """Take it out of the picture; an endpoint refers to what it served until it is really gone."""
        if leftover.kind != ENDPOINT_KIND:
            del self._things(leftover.kind)[leftover.name]

    def _delete_endpoint(self, name: str) -> bool:
        return self._client.ask("delete_endpoint", EndpointName=name) is not None

    def _delete_config(self, name: str) -> bool:
        return self._client.ask("delete_endpoint_config", EndpointConfigName=name) is not None

    def _delete_model(self, name: str) -> bool:
        return self._client.ask("delete_model", ModelName=name) is not None

    def _delete_image(self, name: str) -> bool:
        repository, _, digest = name.partition("@")
        self._client.wait()
        client = self._connection.client("ecr")
        answer = client.batch_delete_image(repositoryName=repository, imageIds=[{"imageDigest": digest}])
        failures = [each for each in answer.get("failures", ()) if each.get("failureCode") != "ImageNotFound"]
        if failures:
            message = f"{failures[0].get('failureCode')}: {failures[0].get('failureReason', '')}"
            raise RuntimeError(message)
        return bool(answer.get("imageIds"))


_CALLS: dict[str, Callable[[LeftoverHook, str], bool]] = {
    ENDPOINT_KIND: LeftoverHook._delete_endpoint,
    MODEL: LeftoverHook._delete_model,
    IMAGE: LeftoverHook._delete_image,
}
