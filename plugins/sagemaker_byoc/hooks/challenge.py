"""Finds out who has to be beaten, at the gate and again when a deployment has its turn.

Owns which version counts as the champion. The comparison stands in ``challenge``. Knows nothing of tasks or templates.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sagemaker_byoc.challenge import Defeat
from sagemaker_byoc.config_history import line_of, without_candidate
from sagemaker_byoc.hooks.endpoint_config import EndpointConfigHook
from sagemaker_byoc.hooks.model import ModelHook
from sagemaker_byoc.hooks.model_package import ModelPackageHook
from sagemaker_byoc.model_package import APPROVED, PENDING

if TYPE_CHECKING:
    from airflow.sdk.types import Logger

    from sagemaker_byoc.challenge import PastChallenge
    from sagemaker_byoc.hooks.connection import AwsConnection
    from sagemaker_byoc.model_package import ModelPackage

__all__ = ["find_champion", "live_model", "lost_since", "reject_loser"]


def find_champion(
    connection: AwsConnection, group: str, challenger_job: str, live_config: str | None
) -> ModelPackage | None:
    """Return the version that is live, if it is a proven one of the group, else the newest approved one.

    The challenger's own never counts, which an earlier try may have deployed and approved.

    :param live_config: the endpoint configuration that is live, where that is known
    """
    live = _live(connection, group, live_config) if live_config else None
    if live is not None and not live.is_of_job(challenger_job):
        return live
    return ModelPackageHook(connection).newest_approved(group, challenger_job)


def lost_since(connection: AwsConnection, past: PastChallenge, live_config: str | None, log: Logger) -> Defeat | None:
    """Return why a model must not be deployed, however long ago the gate let it pass; None when it may.

    Against the champion that the gate saw, nothing is compared again. Another one is compared by what the registry
    keeps: nobody is asked a held-out set while the endpoint waits.

    :raises RequestError: the champion lacks a metric that counts
    """
    if past.reasons:
        return Defeat(f"the model did not win: {'; '.join(past.reasons)}")
    champion = find_champion(connection, past.group, past.training_job, live_config)
    if champion is None or champion.arn == past.champion:
        return None
    metrics = champion.metrics_as(past.metrics, past.held_out)
    whose = f"version {champion.version} of {past.group} is champion by now"
    if missing := past.missing_from(metrics):
        told = f"{whose} and was not asked the same held-out set, so that {', '.join(missing)} cannot be compared"
        return Defeat(f"{told}. Clear the task that compared the models to ask it", is_compared=False)
    challenge = past.against(metrics)
    log.info("The %s.\n%s", whose, challenge.table())
    return Defeat(f"{whose}: {'; '.join(challenge.reasons)}") if challenge.reasons else None


def live_model(connection: AwsConnection, champion: ModelPackage | None, live_config: str | None) -> str | None:
    """Return the model by which the champion serves; None where it does not serve, or by more than one.

    It may have another image or environment than its version tells.
    """
    config = without_candidate(live_config or "", EndpointConfigHook(connection).known) if champion else None
    if config is None or champion is None or config.model_package != champion.arn or len(config.models) != 1:
        return None
    [name] = config.models
    return name if ModelHook(connection).describe(name) is not None else None


def reject_loser(connection: AwsConnection, arn: str, reason: str, live_config: str | None, log: Logger) -> None:
    """Reject the version of a model that lost, unless it serves: its run may have been cleared after its deployment.

    :param live_config: the endpoint configuration that is live, where that is known
    """
    line = line_of(live_config or "", EndpointConfigHook(connection).known)
    if any(arn in (config.model_package, config.candidate_package) for config in line):
        log.warning("%s serves with %s, and is not rejected.", arn, live_config)
        return
    ModelPackageHook(connection).reject(arn, reason)
    log.info("%s is rejected.", arn)


def _live(connection: AwsConnection, group: str, live_config: str) -> ModelPackage | None:
    """Return the version that is live, approved or with its approval on its way; never that of a candidate beside it.

    The run that deployed it lets others have the endpoint after the smoke test, and approves a little later.
    """
    config = without_candidate(live_config, EndpointConfigHook(connection).known)
    arn = config.model_package if config is not None else ""
    package = ModelPackageHook(connection).describe(arn) if arn else None
    if config is None or package is None or not package.is_in(group):
        return None
    is_proven = package.approval_status == PENDING and config.passed
    return package if is_proven or package.approval_status == APPROVED else None
