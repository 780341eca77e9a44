"""What this package left behind on AWS, and may go.

Owns the rules, over a picture of the account. What something refers to stays, whoever made it; what nobody tagged as
ours is not even looked at. Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from sagemaker_byoc.account import is_ours
from sagemaker_byoc.candidate import CANDIDATE_FOR
from sagemaker_byoc.claim import ON_TAG
from sagemaker_byoc.config_history import ENDPOINT, KnownConfig, before, line_of
from sagemaker_byoc.naming import HASH_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from datetime import datetime

    from sagemaker_byoc.account import Account, EndpointConfig, Image

__all__ = ["CLAIM", "CONFIG", "ENDPOINT_KIND", "IMAGE", "KINDS", "MODEL", "Leftover", "Retention"]

ENDPOINT_KIND, CLAIM, CONFIG, MODEL, IMAGE = "endpoint", "claim", "endpoint configuration", "model", "image"
KINDS = (ENDPOINT_KIND, CLAIM, CONFIG, MODEL, IMAGE)
"""In the order in which they are deleted: what refers before what is referred to."""

IMAGE_TAG = "ctx-"
"""What the tags of images begin with that were built from a folder."""

_HASH = re.compile(rf"-[0-9a-f]{{{HASH_LENGTH}}}$")
_CLAIM_NUMBER = re.compile(r"-claim-(\d+)$")
_CHANGING = frozenset({"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"})


@dataclass(frozen=True)
class Retention:
    """How long what is kept.

    :param younger_than: nothing younger goes, whatever it is
    :param configs: how many configurations of each endpoint stay, to go back to
    :param claims: how long claims and tickets stay
    :param endpoints: after how long without a change an endpoint goes; None for never
    """

    younger_than: timedelta = timedelta(days=30)
    configs: int = 3
    claims: timedelta = timedelta(days=2)
    endpoints: timedelta | None = None


@dataclass(frozen=True)
class Leftover:
    """Something that may go.

    :param since: when it was made, or used last
    :param hourly_usd: what its deletion saves in an hour; None when the price is not known
    """

    kind: str
    name: str
    since: datetime
    reason: str
    hourly_usd: float | None = 0.0


def leftovers(account: Account, retention: Retention, now: datetime) -> list[Leftover]:
    """Return all that may go, in the order in which it can be deleted, of each kind the oldest first.

    An endpoint that goes still counts as referring to what it serves: it takes its time, and the next run finds the
    rest.
    """
    found = [*_endpoints(account, retention, now), *_claims(account, retention, now)]
    found += _configs(account, retention, now)
    rest = account.without(configs=[each.name for each in found if each.kind in (CLAIM, CONFIG)])
    models = list(_models(rest, retention, now))
    rest = rest.without(models=[each.name for each in models])
    found += [*models, *_images(rest, retention, now)]
    return sorted(found, key=lambda each: (KINDS.index(each.kind), each.since, each.name))


def may_go(leftover: Leftover, account: Account, retention: Retention, now: datetime) -> bool:
    """Say whether something may go by the account as it is now, with nothing assumed to be gone."""
    return any(each.name == leftover.name for each in _RULES[leftover.kind](account, retention, now))


def restore_points(account: Account, count: int) -> set[str]:
    """Return the configurations of each endpoint that somebody may want to go back to.

    The newest ones, and as many of those that did not fail their smoke test; what a live one replaced; and what
    ``sagemaker_restore`` would put back in its place, or if the endpoint is gone. An endpoint is known by the tag of
    its configurations, else by what their names begin with.

    :param count: how many of each
    """

    def look(name: str) -> KnownConfig | None:
        config = account.configs.get(name)
        return _known(config) if config is not None and ON_TAG not in config.tags else None

    live = filter(None, map(look, account.live_configs()))
    kept = {config.name for each in live for config in line_of(each.replaced, look)}
    for (_, name), configs in _by_endpoint(account).items():
        known = [_known(config) for config in configs]
        good = [config for config in known if not config.failed]
        kept.update(config.name for config in [*known[:count], *good[:count]])
        serving = account.endpoints[name].configs if name in account.endpoints else ()
        kept.update(filter(None, (before(each, known, look) for each in serving or (None,))))
    return kept


def _by_endpoint(account: Account) -> Mapping[tuple[bool, str], list[EndpointConfig]]:
    """Return the configurations of each endpoint, newest first; those without the tag for themselves.

    Going back knows only those with the tag, so the others must not take their places. Those that held a candidate
    beside the live model are nobody's way back.
    """
    found: dict[tuple[bool, str], list[EndpointConfig]] = defaultdict(list)
    newest_first = sorted(account.configs.values(), key=lambda each: (each.created, each.name), reverse=True)
    for config in newest_first:
        if is_ours(config) and not config.tags.keys() & {ON_TAG, CANDIDATE_FOR}:
            found[ENDPOINT in config.tags, endpoint_of(config)].append(config)
    return found


def endpoint_of(config: EndpointConfig) -> str:
    """Return the endpoint that a configuration was made for, or what its name says of that."""
    return config.tags.get(ENDPOINT) or _HASH.sub("", config.tags.get(CANDIDATE_FOR) or config.name)


def _known(config: EndpointConfig) -> KnownConfig:
    return KnownConfig.of(config.name, config.created, config.models, config.tags)


def _endpoints(account: Account, retention: Retention, now: datetime) -> Iterator[Leftover]:
    if retention.endpoints is None:
        return
    for each in account.endpoints.values():
        age = now - each.changed
        if is_ours(each) and each.status not in _CHANGING and age > max(retention.endpoints, retention.younger_than):
            reason = f"unchanged for more than {_days(retention.endpoints)}; it is {each.status}"
            yield Leftover(ENDPOINT_KIND, each.name, each.changed, reason)


def _claims(account: Account, retention: Retention, now: datetime) -> Iterator[Leftover]:
    live, latest = account.live_configs(), _latest_claims(account)
    for each in account.configs.values():
        is_old = now - each.created > retention.claims
        if ON_TAG in each.tags and is_ours(each) and is_old and each.name not in live | latest:
            yield Leftover(CLAIM, each.name, each.created, f"nobody waits for {_days(retention.claims)} and longer")


def _latest_claims(account: Account) -> set[str]:
    """Return the claim of each endpoint that has the greatest number: the next one is counted from it."""
    latest: dict[str, tuple[int, str]] = {}
    for name, config in account.configs.items():
        number = _CLAIM_NUMBER.search(name)
        if number and ON_TAG in config.tags:
            endpoint = config.tags[ON_TAG]
            latest[endpoint] = max(latest.get(endpoint, (-1, "")), (int(number[1]), name))
    return {name for _, name in latest.values()}


def _configs(account: Account, retention: Retention, now: datetime) -> Iterator[Leftover]:
    kept = account.live_configs() | restore_points(account, retention.configs)
    for each in account.configs.values():
        is_old = now - each.created > retention.younger_than
        if is_ours(each) and ON_TAG not in each.tags and is_old and each.name not in kept:
            reason = f"serves nowhere, and {retention.configs} newer ones of {endpoint_of(each)} are kept"
            if CANDIDATE_FOR in each.tags:
                reason = f"held a candidate of {endpoint_of(each)}, which is there no more"
            yield Leftover(CONFIG, each.name, each.created, reason)


def _models(account: Account, retention: Retention, now: datetime) -> Iterator[Leftover]:
    if MODEL in account.unsure:
        return
    used = account.used_models()
    for each in account.models.values():
        if is_ours(each) and now - each.created > retention.younger_than and each.name not in used:
            yield Leftover(MODEL, each.name, each.created, "no endpoint configuration that is kept names it")


def _images(account: Account, retention: Retention, now: datetime) -> Iterator[Leftover]:
    if IMAGE in account.unsure:
        return
    used, newest = account.image_use(), _newest(account.images.values())
    for each in account.images.values():
        is_old = now - each.used > retention.younger_than
        if _is_built_here(each) and is_old and each.name not in newest and each not in used:
            reason = f"nothing that is kept was made of it ({each.tags[0]})"
            yield Leftover(IMAGE, each.name, each.used, reason)


def _is_built_here(image: Image) -> bool:
    """Say whether each tag is one of ours: to an image with another one, somebody has given a meaning."""
    return bool(image.tags) and all(tag.startswith(IMAGE_TAG) for tag in image.tags)


def _newest(images: Iterable[Image]) -> set[str]:
    """Return the image of each repository that the next run will probably take."""
    newest: dict[str, Image] = {}
    for image in sorted(filter(_is_built_here, images), key=lambda each: (each.pushed, each.name)):
        newest[image.repository] = image
    return {image.name for image in newest.values()}


def _days(duration: timedelta) -> str:
    return f"{duration / timedelta(days=1):g} days"


_RULES: Mapping[str, Callable[[Account, Retention, datetime], Iterator[Leftover]]] = {
    ENDPOINT_KIND: _endpoints,
    CLAIM: _claims,
    CONFIG: _configs,
    MODEL: _models,
    IMAGE: _images,
}
