"""What may go, over whatever an account may look like."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st

from sagemaker_byoc.account import Account, Endpoint, EndpointConfig, Image, Model
from sagemaker_byoc.claim import ON_TAG
from sagemaker_byoc.config_history import KnownConfig, before
from sagemaker_byoc.leftover import Leftover, Retention, leftovers, may_go, restore_points

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
OURS = {"project": "sagemaker-byoc"}
NAMES = st.sampled_from([f"n{number}" for number in range(8)])
AGES = st.sampled_from([0.5, 3, 29, 31, 200]).map(lambda days: NOW - timedelta(days=days))
TAGS = st.fixed_dictionaries(
    {"project": st.sampled_from(["sagemaker-byoc", "other"])},
    optional={
        "endpoint": NAMES,
        "replaced_config": NAMES,
        "smoke_test": st.sampled_from(["passed", "failed: why"]),
        ON_TAG: NAMES,
        "candidate_for": NAMES,
    },
)
SEVERAL = st.lists(NAMES, max_size=2).map(tuple)
RETENTIONS = st.builds(
    Retention,
    configs=st.integers(1, 3),
    endpoints=st.none() | st.just(timedelta(days=60)),
)


def reference(name: str) -> str:
    """Name an image by its digest."""
    return f"host/iris@sha256:{name}"


def endpoints() -> st.SearchStrategy[Endpoint]:
    """Endpoints in whatever state."""
    return st.builds(
        Endpoint,
        name=NAMES,
        arn=st.just("arn"),
        status=st.sampled_from(["InService", "Updating", "Failed"]),
        changed=AGES,
        configs=SEVERAL,
        images=SEVERAL.map(lambda names: tuple(map(reference, names))),
        models=SEVERAL,
        tags=TAGS,
    )


def configs() -> st.SearchStrategy[EndpointConfig]:
    """Configurations, claims among them."""
    return st.builds(EndpointConfig, name=NAMES, arn=st.just("arn"), created=AGES, models=SEVERAL, tags=TAGS)


def models() -> st.SearchStrategy[Model]:
    """Models of images by digest."""
    images = SEVERAL.map(lambda names: tuple(map(reference, names)))
    return st.builds(Model, name=NAMES, arn=st.just("arn"), created=AGES, images=images, tags=TAGS)


def images() -> st.SearchStrategy[Image]:
    """Images of ours and of others."""
    tags = st.lists(st.sampled_from(["ctx-1", "ctx-2", "v1"]), max_size=2, unique=True).map(tuple)
    digests = NAMES.map(lambda name: f"sha256:{name}")
    return st.builds(Image, repository=st.just("iris"), digest=digests, tags=tags, pushed=AGES, used=AGES)


@st.composite
def accounts(draw: st.DrawFn) -> Account:
    """Accounts of up to eight things of each kind that refer to each other at random."""
    return Account(
        {each.name: each for each in draw(st.lists(endpoints(), max_size=3))},
        {each.name: each for each in draw(st.lists(configs(), max_size=8))},
        {each.name: each for each in draw(st.lists(models(), max_size=8))},
        {each.name: each for each in draw(st.lists(images(), max_size=8))},
        set(map(reference, draw(SEVERAL))),
    )


def kept_closure(account: Account, retention: Retention) -> tuple[set[str], set[str], set[str]]:
    """Return configurations, models and digests that are reached from endpoints, restore points and users.

    Written as a walk along references, not as the rules are.
    """
    wanted = {name for each in account.endpoints.values() for name in each.configs}
    wanted |= restore_points(account, retention.configs)
    reached = {name for each in account.endpoints.values() for name in each.models}
    for name in wanted & account.configs.keys():
        reached |= set(account.configs[name].models)
    digests = {each.partition("@")[2] for each in account.used_images}
    digests |= {each.partition("@")[2] for one in account.endpoints.values() for each in one.images}
    for name in reached & account.models.keys():
        digests |= {each.partition("@")[2] for each in account.models[name].images}
    return wanted, reached, digests


@given(accounts(), RETENTIONS)
def test_nothing_that_is_reached_goes(account: Account, retention: Retention) -> None:
    """From any endpoint, way back, job or version, along configurations and models to images."""
    found = leftovers(account, retention, NOW)
    going = {kind: {each.name for each in found if each.kind == kind} for kind in ("claim", "model", "image")}
    going["config"] = {each.name for each in found if each.kind == "endpoint configuration"}
    wanted, reached, digests = kept_closure(account, retention)
    assert not (going["config"] | going["claim"]) & {n for e in account.endpoints.values() for n in e.configs}
    assert not going["config"] & wanted
    assert not going["model"] & reached
    assert not {name.partition("@")[2] for name in going["image"]} & digests


@given(accounts(), RETENTIONS)
def test_nothing_young_or_foreign_goes(account: Account, retention: Retention) -> None:
    """Each leftover is of ours, and past its retention."""
    for each in leftovers(account, retention, NOW):
        limit = retention.claims if each.kind == "claim" else retention.younger_than
        assert NOW - each.since > limit
        if each.kind == "image":
            assert all(tag.startswith("ctx-") for tag in account.images[each.name].tags)
        else:
            things = {"endpoint": account.endpoints, "model": account.models}.get(each.kind, account.configs)
            assert things[each.name].tags["project"] == "sagemaker-byoc"  # type: ignore[index]


@given(accounts(), RETENTIONS)
def test_deleting_in_order_never_leaves_a_broken_reference(account: Account, retention: Retention) -> None:
    """Each one may go by the account as it is when its turn comes, and then nothing that is left refers to it."""
    for each in leftovers(account, retention, NOW):
        assert may_go(each, account, retention, NOW)
        if each.kind in ("claim", "endpoint configuration"):
            del account.configs[each.name]
        elif each.kind == "model":
            assert each.name not in account.used_models()
            del account.models[each.name]
        elif each.kind == "image":
            assert account.images.pop(each.name) not in account.image_use()


@given(accounts(), RETENTIONS)
def test_the_way_back_outlives_a_clean_up(account: Account, retention: Retention) -> None:
    """What ``sagemaker_restore`` would put back before, it would put back afterwards."""

    def way_back() -> dict[str, str | None]:
        groups: dict[str, list[EndpointConfig]] = {}
        for each in sorted(account.configs.values(), key=lambda one: (one.created, one.name), reverse=True):
            if each.tags["project"] == "sagemaker-byoc" and "endpoint" in each.tags and not is_apart(each):
                groups.setdefault(each.tags["endpoint"], []).append(each)
        live = {name: one.configs[0] if one.configs else None for name, one in account.endpoints.items()}
        known = {name: [known_config(each) for each in group] for name, group in groups.items()}
        look = {name: known_config(each) for name, each in account.configs.items() if ON_TAG not in each.tags}.get
        return {name: before(live.get(name), known.get(name, []), look) for name in {*live, *known}}

    expected = way_back()
    for each in leftovers(account, retention, NOW):
        if each.kind in ("claim", "endpoint configuration"):
            del account.configs[each.name]
    assert way_back() == expected


def is_apart(config: EndpointConfig) -> bool:
    """Say whether it is a claim or held a candidate; neither has the tag of an endpoint, but here it might."""
    return bool(config.tags.keys() & {ON_TAG, "candidate_for"})


def known_config(config: EndpointConfig) -> KnownConfig:
    """Return what the history knows of a configuration."""
    return KnownConfig.of(config.name, config.created, config.models, config.tags)


def config(name: str, days: float, **tags: str) -> EndpointConfig:
    """Make a configuration of ours."""
    return EndpointConfig(name, "arn", NOW - timedelta(days=days), tags={**OURS, **tags})


def account_of(*configs: EndpointConfig, live: str = "") -> Account:
    """Make an account of configurations, one of which may be live."""
    endpoint = Endpoint("iris", "arn", "InService", NOW, configs=(live,) if live else ())
    return Account({"iris": endpoint}, {each.name: each for each in configs})


def test_those_that_failed_are_no_way_back() -> None:
    """They stay if they are among the newest, and as many good ones stay beside them."""
    account = account_of(
        config("c4", 1, endpoint="iris", smoke_test="failed: accuracy"),
        config("c3", 2, endpoint="iris", smoke_test="failed: accuracy"),
        config("c2", 3, endpoint="iris"),
        config("c1", 4, endpoint="iris"),
        config("c0", 5, endpoint="iris"),
    )
    assert restore_points(account, 2) == {"c4", "c3", "c2", "c1"}


def test_what_an_old_live_one_would_go_back_to_stays() -> None:
    """An endpoint that was taken back serves an old one: then even older ones are its way back."""
    known = [config(f"c{number}", 10 - number, endpoint="iris") for number in range(6)]
    assert restore_points(account_of(*known, live="c2"), 2) == {"c5", "c4", "c1"}


def test_what_the_live_one_replaced_stays() -> None:
    """However old it is, and whatever endpoint it was made for."""
    known = [config(f"c{number}", 10 - number, endpoint="iris") for number in range(1, 6)]
    live = replace(known[-1], tags={**known[-1].tags, "replaced_config": "other-1"})
    other = [config(f"other-{number}", 10 - number, endpoint="other") for number in range(1, 4)]
    assert restore_points(account_of(*known, live, *other, live="c5"), 1) == {"c5", "other-1", "other-3"}


def test_without_the_tag_the_name_tells_the_endpoint() -> None:
    """What stands before the hash; two endpoints are not mixed up."""
    known = [config(f"iris-{number:010x}", number) for number in range(1, 4)]
    known += [config(f"iris-scale-{number:010x}", number) for number in range(1, 4)]
    assert restore_points(account_of(*known), 1) == {f"iris-{1:010x}", f"iris-scale-{1:010x}"}


def test_those_without_the_tag_do_not_crowd_out_those_with_it() -> None:
    """Only the latter can be gone back to without knowing a name."""
    known = [config(f"iris-{number:010x}", number) for number in range(1, 4)]
    assert restore_points(account_of(*known, config("old", 9, endpoint="iris")), 1) == {f"iris-{1:010x}", "old"}


def test_what_held_a_candidate_is_no_way_back() -> None:
    """It goes when its endpoint has something else, and takes nobody's place."""
    held = config("iris-0000000001-candidate-0000000002", 40, candidate_for="iris-0000000001")
    known = [config("iris-0000000001", 50, endpoint="iris"), held]
    [found] = leftovers(account_of(*known), Retention(configs=1), NOW)
    assert (found.name, found.reason) == (held.name, "held a candidate of iris, which is there no more")
    assert leftovers(account_of(*known, live=held.name), Retention(configs=1), NOW) == []


def test_what_a_candidate_was_put_beside_stays() -> None:
    """It is what ``sagemaker_restore`` would put back, also where one candidate was left behind for the next."""
    old = [config(f"c{number}", 90 - number, endpoint="iris", smoke_test="passed") for number in range(3)]
    left = config("held-1", 50, candidate_for="f1", replaced_config="c0")
    live = config("held-2", 40, candidate_for="f2", replaced_config="held-1")
    lost = config("held-0", 60, candidate_for="f0", replaced_config="c1")
    assert restore_points(account_of(*old, lost, left, live, live="held-2"), 1) == {"held-1", "c0", "c2"}


def test_what_an_endpoint_that_is_gone_would_be_given_stays() -> None:
    """The newest that passed its test, however many untested ones are newer."""
    known = [config(f"c{number}", 10 - number, endpoint="roses") for number in range(4)]
    passed = replace(known[1], tags={**known[1].tags, "smoke_test": "passed"})
    assert restore_points(account_of(known[0], passed, *known[2:]), 1) == {"c3", "c1"}


def test_an_unsure_kind_stays() -> None:
    """Nothing of it goes, whatever its age."""
    account = Account(models={"m": Model("m", "arn", NOW - timedelta(days=99), tags=OURS)})
    assert [each.name for each in leftovers(account, Retention(), NOW)] == ["m"]
    account.unsure["model"] = "nobody can tell"
    assert leftovers(account, Retention(), NOW) == []


def test_the_newest_image_of_each_repository_stays() -> None:
    """The next run will probably take it; one that is not of ours does not count."""
    then = NOW - timedelta(days=99)
    known = [
        Image("iris", "sha256:1", ("ctx-1",), then, then),
        Image("iris", "sha256:2", ("ctx-2",), then + timedelta(days=1), then + timedelta(days=1)),
        Image("iris", "sha256:3", ("v1",), then + timedelta(days=2), then + timedelta(days=2)),
        Image("other", "sha256:4", ("ctx-4",), then, then),
    ]
    found = leftovers(Account(images={each.name: each for each in known}), Retention(), NOW)
    assert found == [Leftover("image", "iris@sha256:1", then, "nothing that is kept was made of it (ctx-1)")]
