"""The decisions of a deployment: which request, which step next, and whether the model is too old to deploy.

Owns these decisions and makes no call, so that each can be tried on every state. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from enum import Enum
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError

if TYPE_CHECKING:
    from sagemaker_byoc.endpoint_status import EndpointLook

__all__ = ["DEFAULT_VARIANT_NAME", "Step", "data_date", "fill_in_variants", "instant", "is_older", "next_step"]

DEFAULT_VARIANT_NAME = "AllTraffic"
"""The name that the SDKs and the console give to the only variant of an endpoint."""


class Step(Enum):
    """What to do next, in the words of the result's ``operation`` where one ends the deployment."""

    CREATE = "create"
    UPDATE = "update"
    ADOPT = "adopt"
    NONE = "none"
    WAIT = "wait"
    DELETE = "delete"


def next_step(look: EndpointLook | None, requested_config: str) -> Step:
    """Decide from one look at the endpoint.

    :param look: None when the endpoint does not exist
    """
    if look is None:
        return Step.CREATE
    if look.status == "Failed":
        # "DeleteEndpoint is the only operation that can be performed on a failed endpoint" (DescribeEndpoint).
        return Step.DELETE
    if look.status == "OutOfService" and look.live_config == requested_config:
        # It serves nothing, and UpdateEndpoint wants another configuration than the one it has.
        return Step.DELETE
    if look.status in ("Creating", "Updating") and look.target_config == requested_config:
        return Step.ADOPT
    if look.changing:
        return Step.WAIT
    if look.status == "InService" and look.live_config == requested_config:
        return Step.NONE
    return Step.UPDATE


def fill_in_variants(config: Mapping[str, Any], model_name: str | None) -> dict[str, Any]:
    """Complete the variants of a CreateEndpointConfig request.

    A variant without ModelName gets ``model_name``. A single variant without VariantName gets ``AllTraffic``.
    Instance type, count and everything else that decides the bill stay with the user. Shadow variants are left as
    they are: a shadow that runs the same model compares nothing.

    :raises RequestError: there are no variants, or more than one beside a shadow variant
    """
    variants = config.get("ProductionVariants")
    if not isinstance(variants, list) or not variants:
        raise RequestError(
            "config.ProductionVariants",
            variants,
            "a list of 1 to 10 variants",
            "For example [{'InstanceType': 'ml.m5.large', 'InitialInstanceCount': 1}].",
        )
    _refuse_shadows(config.get("ShadowProductionVariants"), len(variants))
    defaults: dict[str, Any] = {"ModelName": model_name} if model_name else {}
    if len(variants) == 1:
        defaults["VariantName"] = DEFAULT_VARIANT_NAME
    filled = [{**defaults, **variant} if isinstance(variant, Mapping) else variant for variant in variants]
    return {**config, "ProductionVariants": filled}


def _refuse_shadows(shadows: Any, count: int) -> None:
    """Refuse more than AWS has (CreateEndpointConfig): one shadow variant beside one production variant.

    :param count: of the production variants
    """
    if isinstance(shadows, list) and shadows and (len(shadows) > 1 or count > 1):
        allowed = "one shadow variant beside one production variant"
        raise RequestError("config.ShadowProductionVariants", f"{len(shadows)} beside {count}", allowed)


def data_date(given: str | None, of_the_run: str | None) -> str | None:
    """Return the date of the data that a model was trained on, as ISO 8601 with a time and a time zone.

    :param given: ISO 8601 date or datetime; a bare date is midnight UTC. None, or what a template makes of it, stands
        for the run's own
    :param of_the_run: ISO 8601, None for a run without a date
    :raises RequestError: what was given is no date
    """
    text = str(given).strip() if given is not None else ""
    if text in ("", "None"):
        return of_the_run
    moment = instant(text)
    if moment is None:
        raise RequestError("data_date", given, "an ISO 8601 date or datetime, for example 2026-01-31")
    return moment.isoformat()


def is_older(date: str | None, live_date: str | None) -> bool:
    """Say whether a model was trained on data from before those of the live one.

    Unknown dates compare as not older: a run without a date was asked for now, and a configuration without one was
    not deployed by this package.

    :param date: ISO 8601, of the data of the model to deploy
    :param live_date: ISO 8601, from the tags of the live endpoint configuration
    """
    mine, live = instant(date), instant(live_date)
    return mine is not None and live is not None and mine < live


def instant(text: str | None) -> datetime | None:
    """Read an ISO 8601 date or datetime, without a time zone as UTC; None for what is none."""
    if not text:
        return None
    try:
        # Python 3.10 does not read the "Z".
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)
