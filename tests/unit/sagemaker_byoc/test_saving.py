"""What leftovers cost, and how that is told."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from sagemaker_byoc.account import Account, Endpoint, EndpointConfig, Image
from sagemaker_byoc.leftover import Leftover
from sagemaker_byoc.saving import Prices, instance_types, priced, report, table

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
THEN = NOW - timedelta(days=40)
IMAGE = Image("iris", "sha256:1", ("ctx-1",), THEN, THEN, size_bytes=73 * 10**8)
CONFIG = EndpointConfig("c", "arn", THEN, instance_types={"a": "ml.m5.large", "b": "ml.c5.large"})
ENDPOINT = Endpoint("iris", "arn", "InService", THEN, configs=("c",), counts={"a": 2, "b": 1})
FOUND = [
    Leftover("endpoint", "iris", THEN, "unchanged"),
    Leftover("model", "m", NOW - timedelta(hours=5), "nothing names it"),
    Leftover("image", IMAGE.name, THEN, "nothing was made of it"),
]


def account(endpoint: Endpoint = ENDPOINT, config: EndpointConfig = CONFIG) -> Account:
    """Make the account in which they were found."""
    return Account({"iris": endpoint}, {"c": config}, images={IMAGE.name: IMAGE})


def test_instances_and_storage_have_prices_and_the_rest_is_free() -> None:
    """All instances of all variants; a month has 730 hours."""
    assert instance_types(FOUND, account()) == {"ml.m5.large", "ml.c5.large"}
    prices = Prices({"ml.m5.large": 0.5, "ml.c5.large": 0.25}, storage=0.1)
    costs = [each.hourly_usd for each in priced(FOUND, account(), prices)]
    assert costs == [1.25, 0.0, pytest.approx(0.001)]


@pytest.mark.parametrize(
    ("found", "prices"),
    [
        (account(), Prices({"ml.m5.large": 0.5})),
        (account(config=EndpointConfig("c", "arn", THEN, instance_types={"a": "ml.m5.large"})), Prices()),
        (account(endpoint=Endpoint("iris", "arn", "InService", THEN, configs=("lost",), counts={"a": 1})), Prices()),
        (account(endpoint=Endpoint("iris", "arn", "Failed", THEN)), Prices()),
    ],
)
def test_what_is_not_known_is_not_guessed(found: Account, prices: Prices) -> None:
    """One type without a price, a variant without instances, a configuration that is gone, and no variant at all."""
    told = priced(FOUND, found, prices)
    assert [each.hourly_usd for each in told] == [None, 0.0, None]
    assert report(told, NOW)["unknown_prices"] == 2


def test_the_report_is_small() -> None:
    """It has the first rows only; numbers and sum are those of all."""
    many = [Leftover("model", f"m{number}", THEN, "why", 0.125) for number in range(100)]
    told = report(many, NOW)
    assert (told["found"], told["hourly_usd"], len(told["rows"])) == ({"model": 100}, 12.5, 20)
    assert told["rows"][0] == {"kind": "model", "name": "m0", "age_days": 40.0, "reason": "why", "hourly_usd": 0.125}


def test_the_table_ends_with_the_sum() -> None:
    """Ages are days, or hours of what is younger than one; an unknown price is called so."""
    told = priced(FOUND, account(), Prices({"ml.m5.large": 0.5, "ml.c5.large": 0.25}))
    assert table(told, NOW).splitlines() == [
        "kind      name           age    USD/hour  why it may go",
        "endpoint  iris           40 d   1.2500    unchanged",
        "model     m              5.0 h  0         nothing names it",
        "image     iris@sha256:1  40 d   unknown   nothing was made of it",
        "1 endpoint, 1 model, 1 image: 1.2500 USD per hour, and 1 of unknown price",
    ]


def test_an_empty_table_says_so() -> None:
    """Nothing is found most of the time."""
    assert table([], NOW).endswith("nothing: 0.0000 USD per hour")
