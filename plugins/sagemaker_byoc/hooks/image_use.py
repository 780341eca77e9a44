"""Calls that show which images are in use beside those of models: by training jobs, and in the model registry."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.account import package_images
from sagemaker_byoc.leftover import IMAGE
from sagemaker_byoc.model_package import APPROVED, PENDING
from sagemaker_byoc.retry import is_throttled

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sagemaker_byoc.account import Account
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.hooks.paced_client import PacedClient

__all__ = ["ImageUsers"]

log = logging.getLogger(__name__)

LONGEST_JOB = timedelta(days=60)
"""Age above which no training job runs: it may wait for capacity for 28 days (``MaxPendingTimeInSeconds``), and train
for as long (``MaxRuntimeInSeconds``)."""


class ImageUsers:
    """What uses images, looked at once each.

    :param younger_than: a version that has waited longer for its approval does not keep its image
    """

    def __init__(
        self, connection: AwsConnection, client: PacedClient, account: Account, younger_than: timedelta
    ) -> None:
        self._connection = connection
        self._client = client
        self._account = account
        self._younger_than = younger_than
        self._jobs: set[str] = set()
        self._packages: set[str] = set()

    def read(self, since: datetime | None = None) -> None:
        """Note the images of jobs that run, and of versions that are approved or wait for it.

        :param since: training jobs that were created earlier have been seen before
        """
        since = since or datetime.now(timezone.utc) - LONGEST_JOB
        for status in ("InProgress", "Stopping"):
            listed = self._client.list(
                "list_training_jobs", "TrainingJobSummaries", StatusEquals=status, CreationTimeAfter=since
            )
            for job in listed:
                self._read_job(job["TrainingJobName"])
        with self._registry():
            self.read_packages(self._package_arns())

    def read_packages(self, arns: Iterable[str]) -> None:
        """Note the images of versions of the model registry."""
        for arn in arns:
            if arn not in self._packages:
                self._packages.add(arn)
                with self._registry():
                    found = self._client.ask("describe_model_package", ModelPackageName=arn)
                    self._account.used_images.update(package_images(found or {}))

    def _read_job(self, name: str) -> None:
        if name not in self._jobs:
            self._jobs.add(name)
            job = self._client.ask("describe_training_job", TrainingJobName=name) or {}
            image = job.get("AlgorithmSpecification", {}).get("TrainingImage")
            self._account.used_images.update([image] if image else [])

    def _package_arns(self) -> list[str]:
        young = datetime.now(timezone.utc) - self._younger_than
        wanted: list[dict[str, Any]] = [
            {"ModelApprovalStatus": APPROVED},
            {"ModelApprovalStatus": PENDING, "CreationTimeAfter": young},
        ]
        listed = [
            self._client.list("list_model_packages", "ModelPackageSummaryList", ModelPackageType="Both", **filters)
            for filters in wanted
        ]
        return [each["ModelPackageArn"] for versions in listed for each in versions]

    @contextmanager
    def _registry(self) -> Iterator[None]:
        """Keep all images when AWS does not show the registry, since it may refer to any."""
        client = self._connection.client("sagemaker")
        try:
            yield
        except client.exceptions.ClientError as error:
            if is_throttled(error):
                raise
            reason = f"the model registry cannot be looked at: {error}"
            if self._account.unsure.setdefault(IMAGE, reason) == reason:
                log.warning("No image is deleted: %s", reason)
