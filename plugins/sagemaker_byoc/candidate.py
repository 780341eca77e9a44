"""A model beside the live one: the configuration that holds both, and what a deployment says about it.

Owns the variants of that configuration, their names and weights, and the refusal where two cannot stand beside each
other. Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.naming import NAME_LENGTH, content_name, safe_base

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "CANDIDATE",
    "CANDIDATE_FOR",
    "DIRECT",
    "RETAIN",
    "Candidate",
    "candidate_of",
    "combined_config",
    "read_strategy",
]

DIRECT, CANDIDATE = "direct", "candidate"

CANDIDATE_FOR = "candidate_for"
"""Tag of a combined configuration: the configuration that its candidate variants will have to themselves."""

RETAIN = ("RetainAllVariantProperties", "ExcludeRetainedVariantProperties")
"""Members of UpdateEndpoint that say which of the live variants' properties stay as they are."""

MOST_VARIANTS = 10
"""Production variants of one configuration. Source: the service model, ``ProductionVariantList``."""

_OWN_NAME = re.compile(r"-candidate(-\d+)?$")

_NOT_BESIDE = {
    "ShadowProductionVariants": "a shadow variant shadows one production variant, and allows no second one",
    "AsyncInferenceConfig": "an asynchronous endpoint cannot be asked for one of its variants",
}
"""Members of a configuration with which it can have no candidate, and why; that of asynchronous ones is a guess: the
request of InvokeEndpointAsync has no TargetVariant."""


@dataclass(frozen=True)
class Candidate:
    """What a deployment says about its candidate.

    :param variants: the name in the combined configuration of each variant, by its name in the final one
    :param live: weights of the live variants beside it, as they were before
    :param final_config: CreateEndpointConfig request of what shall be live when all is well
    :param update: UpdateEndpoint request of a direct deployment
    """

    variants: Mapping[str, str]
    live: Mapping[str, float]
    final_config: Mapping[str, Any]
    update: Mapping[str, Any]

    @classmethod
    def of(cls, given: Any) -> Candidate | None:
        """Read what ``as_json`` wrote; None stands for a deployment without a candidate.

        :raises RequestError: it is something else
        """
        if given is None:
            return None
        members = ("variants", "live", "final_config", "update")
        if isinstance(given, Mapping) and all(isinstance(given.get(name), Mapping) for name in members):
            candidate = cls(*(given[name] for name in members))
            if candidate.variants and candidate.final_config.get("EndpointConfigName"):
                return candidate
        allowed = "the member candidate of what CreateEndpointOperator returns"
        raise RequestError("deployment.candidate", given, allowed)

    def as_json(self) -> dict[str, Any]:
        """Return it as an XCom holds it."""
        return {
            "variants": dict(self.variants),
            "live": dict(self.live),
            "final_config": dict(self.final_config),
            "update": dict(self.update),
        }

    @property
    def final_name(self) -> str:
        """Return the name of the final configuration."""
        return str(self.final_config["EndpointConfigName"])

    @property
    def weights(self) -> dict[str, float]:
        """Return the weights of the candidate's variants among themselves."""
        variants = self.final_config["ProductionVariants"]
        return {self.variants[each["VariantName"]]: each.get("InitialVariantWeight", 1.0) for each in variants}

    @property
    def promotion(self) -> dict[str, Any]:
        """Return the UpdateEndpoint request that gives the candidate the endpoint.

        The weights are never retained: those of the old variants of the same names are 0 by then.
        """
        if not self.update.get("RetainAllVariantProperties"):
            return dict(self.update)
        excluded = [*self.update.get("ExcludeRetainedVariantProperties", ())]
        weight = {"VariantPropertyType": "DesiredWeight"}
        return {
            **self.update,
            "ExcludeRetainedVariantProperties": [*excluded, *([] if weight in excluded else [weight])],
        }

    def targets(self, asked: Sequence[str]) -> list[str]:
        """Return the variants to ask: those that somebody named, by either name, else all of the candidate.

        :raises RequestError: one of them is no variant of the candidate
        """
        self._check(asked)
        return [self.variants.get(name, name) for name in asked] or list(self.variants.values())

    def final_targets(self, asked: Sequence[str]) -> list[str]:
        """Return the variants to ask in the final configuration; none where nobody has named any.

        :raises RequestError: one of them is no variant of the candidate
        """
        self._check(asked)
        final = {beside: name for name, beside in self.variants.items()}
        return [name if name in self.variants else final[name] for name in asked]

    def _check(self, asked: Sequence[str]) -> None:
        names = list(self.variants.values())
        for name in asked:
            if name not in self.variants and name not in names:
                raise RequestError("target_variants", name, f"a variant of the candidate: {', '.join(names)}")


def read_strategy(given: Any) -> str:
    """Read how to deploy; None and what a template makes of it stand for ``direct``.

    :raises RequestError: it is neither of the two
    """
    word = str(given).strip().lower()
    if word in ("", "none", DIRECT):
        return DIRECT
    if word == CANDIDATE:
        return CANDIDATE
    raise RequestError("strategy", given, f"{DIRECT!r} or {CANDIDATE!r}")


def combined_config(
    live: Mapping[str, Any],
    traffic: Mapping[str, tuple[float, int]],
    final: Mapping[str, Any],
    *,
    is_combined: bool = False,
) -> dict[str, Any]:
    """Return the request for both, without tags; the candidate's variants are the last ones.

    What is no variant comes from the final configuration (data capture, keys). The name is made of the content.

    :param live: CreateEndpointConfig request of what is live
    :param traffic: weight and number of instances of the live variants now
    :param final: checked CreateEndpointConfig request of what shall be live in the end
    :param is_combined: what is live has an earlier candidate; its variants without traffic are left out
    :raises RequestError: the two cannot stand beside each other
    """
    for config, whose in ((final, "the new configuration"), (live, "the live configuration")):
        _refuse(config, whose)
    variants = [
        _as_now(variant, traffic)
        for variant in live["ProductionVariants"]
        if not (is_combined and _is_left_behind(variant, traffic))
    ]
    new = final["ProductionVariants"]
    if len(variants) + len(new) > MOST_VARIANTS:
        count = f"{len(variants)} live ones and {len(new)} new ones"
        raise _refusal(f"an endpoint has {MOST_VARIANTS} variants at most, and these are {count}")
    for variant in new:
        name = _name_beside(variant["VariantName"], [each["VariantName"] for each in variants])
        variants.append({**variant, "VariantName": name, "InitialVariantWeight": 0.0})
    content = {key: value for key, value in final.items() if key not in ("EndpointConfigName", "Tags")}
    content["ProductionVariants"] = variants
    return {**content, "EndpointConfigName": content_name(f"{final['EndpointConfigName']}-{CANDIDATE}", content)}


def candidate_of(combined: Mapping[str, Any], final: Mapping[str, Any], update: Mapping[str, Any]) -> Candidate:
    """Tell the candidate and the live variants of a combined configuration apart.

    :param combined: what ``combined_config`` returned, or what DescribeEndpointConfig says of it
    :param final: CreateEndpointConfig request of what shall be live in the end
    :param update: UpdateEndpoint request of a direct deployment
    """
    names = [variant["VariantName"] for variant in final["ProductionVariants"]]
    variants = combined["ProductionVariants"]
    live, new = variants[: -len(names)], variants[-len(names) :]
    return Candidate(
        variants=dict(zip(names, [variant["VariantName"] for variant in new], strict=True)),
        live={variant["VariantName"]: variant.get("InitialVariantWeight", 1.0) for variant in live},
        final_config=final,
        update=update,
    )


def _refuse(config: Mapping[str, Any], whose: str) -> None:
    for member, why in _NOT_BESIDE.items():
        if config.get(member):
            raise _refusal(f"{whose} has {member}, and {why}")
    if not any(variant.get("InitialVariantWeight", 1.0) for variant in config["ProductionVariants"]):
        raise _refusal(f"no variant of {whose} has a weight above 0")
    for variant in config["ProductionVariants"]:
        name = variant["VariantName"]
        if variant.get("ServerlessConfig"):
            raise _refusal(f"the variant {name} of {whose} is serverless, and such a one stands alone")
        if not variant.get("ModelName"):
            raise _refusal(f"the variant {name} of {whose} has no ModelName, so that it serves inference components")


def _refusal(why: str) -> RequestError:
    return RequestError("strategy", CANDIDATE, f"{DIRECT!r} here: {why}")


def _as_now(variant: Mapping[str, Any], traffic: Mapping[str, tuple[float, int]]) -> dict[str, Any]:
    """Return a live variant with the weight and the number of instances that it has now."""
    weight, count = traffic[variant["VariantName"]]
    counted = {"InitialInstanceCount": count} if "InitialInstanceCount" in variant else {}
    return {**variant, **counted, "InitialVariantWeight": weight}


def _is_left_behind(variant: Mapping[str, Any], traffic: Mapping[str, tuple[float, int]]) -> bool:
    return bool(_OWN_NAME.search(variant["VariantName"])) and not traffic[variant["VariantName"]][0]


def _name_beside(name: str, taken: Iterable[str]) -> str:
    """Return the candidate's name for a variant, which none of the others has."""
    others, ending, number = set(taken), f"-{CANDIDATE}", 1
    while True:
        found = f"{safe_base(name[: NAME_LENGTH - len(ending)])}{ending}"
        if found not in others:
            return found
        number += 1
        ending = f"-{CANDIDATE}-{number}"
