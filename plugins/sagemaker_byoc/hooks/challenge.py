"""Looks once more at those whose place a model is about to take.

Owns who they are by now, however long ago the gate let the model pass. The comparison stands in ``challenge``. Knows
nothing of tasks or templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_byoc.config_history import MODEL_PACKAGE, PASSED, SMOKE_TEST
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.model_package import ModelPackageHook

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk.types import Logger

    from sagemaker_byoc.challenge import PastChallenge
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.model_package import ModelPackage

__all__ = ["Rematch"]


class Rematch:
    """A challenge that was won, looked at again.

    :param past: what the gate found
    """

    def __init__(self, connection: AwsConnection, past: PastChallenge, log: Logger) -> None:
        self._past = past
        self._packages = ModelPackageHook(connection)
        self._configs = EndpointConfigHook(connection)
        self._log = log

    def lost(self, live_config: str | None) -> str:
        """Return why the model must not be deployed; empty when it may.

        Where nobody else is there than the champion that the gate saw, nothing is compared again.

        :param live_config: the live endpoint configuration
        :raises RequestError: a new champion lacks a metric that counts
        """
        if self._past.reasons:
            return f"the model did not win: {'; '.join(self._past.reasons)}"
        for rival in self._rivals(live_config):
            challenge = self._past.against(rival.metrics_as(self._past.metrics))
            self._log.info("Since the gate, version %d has come.\n%s", rival.version, challenge.table())
            if challenge.reasons:
                reasons = "; ".join(challenge.reasons)
                return f"version {rival.version} of {self._past.group} has come since the gate: {reasons}"
        return ""

    def _rivals(self, live_config: str | None) -> Iterator[ModelPackage]:
        champion = self._packages.champion(self._past.group, self._past.training_job)
        if champion is not None and champion.arn != self._past.champion:
            yield champion
        proven = self._proven(live_config) if live_config else None
        if proven is not None:
            yield proven

    def _proven(self, live_config: str) -> ModelPackage | None:
        """Return the live version if it passed its smoke test and its approval is still on its way.

        The run that deployed it lets others go on before it approves.
        """
        tags = self._configs.tags(live_config)
        arn = tags.get(MODEL_PACKAGE)
        package = self._packages.describe(arn) if arn and tags.get(SMOKE_TEST) == PASSED else None
        if package is None or package.is_of_job(self._past.training_job):
            return None
        return package if package.approval_status == "PendingManualApproval" else None
