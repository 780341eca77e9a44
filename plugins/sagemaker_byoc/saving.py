"""What it saves to delete leftovers, and how a person is told.

Owns the arithmetic of prices, the table and its short form for an XCom. A price that is not known is said to be
unknown, and never guessed. Makes no call. Knows neither Airflow nor boto3.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.errors import RequestError
from sagemaker_byoc.leftover import ENDPOINT_KIND, IMAGE, KINDS
from sagemaker_byoc.text_table import aligned

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

    from sagemaker_byoc.account import Account
    from sagemaker_byoc.leftover import Leftover

__all__ = ["Prices", "given_prices", "instance_types", "priced", "report", "sum_line", "table"]

HOURS_PER_MONTH = 730
BYTES_PER_GB = 10**9
ROWS = 20
"""How many rows an XCom holds; the log has them all."""


@dataclass(frozen=True)
class Prices:
    """What things cost.

    :param hourly: USD of an instance and hour, by instance type
    :param storage: USD of a GB and month in ECR; None when it is not known
    """

    hourly: Mapping[str, float] = field(default_factory=dict)
    storage: float | None = None


def given_prices(given: Mapping[str, Any], field_name: str) -> dict[str, float]:
    """Return prices that a person gave, by instance type.

    :raises RequestError: one is no amount of money
    """
    for instance_type, price in given.items():
        if isinstance(price, bool) or not isinstance(price, (int, float)) or not 0 <= price < float("inf"):
            raise RequestError(f"{field_name}.{instance_type}", price, "USD per hour, a number from 0 on")
    return {instance_type: float(price) for instance_type, price in given.items()}


def instance_types(found: Iterable[Leftover], account: Account) -> set[str]:
    """Return the instance types of the endpoints that may go."""
    names = [each.name for each in found if each.kind == ENDPOINT_KIND]
    instances = [one for name in names for one in _instances(account, name) or ()]
    return {instance_type for instance_type, _ in instances}


def priced(found: Iterable[Leftover], account: Account, prices: Prices) -> list[Leftover]:
    """Return the leftovers with what each of them costs; configurations, models and claims cost nothing.

    Images share layers, so that of an image this is the most that its deletion saves.
    """
    return [replace(each, hourly_usd=_hourly(each, account, prices)) for each in found]


def _hourly(leftover: Leftover, account: Account, prices: Prices) -> float | None:
    if leftover.kind == IMAGE:
        size = account.images[leftover.name].size_bytes / BYTES_PER_GB
        return None if prices.storage is None else size * prices.storage / HOURS_PER_MONTH
    if leftover.kind != ENDPOINT_KIND:
        return 0.0
    instances = _instances(account, leftover.name)
    if instances is None or any(instance_type not in prices.hourly for instance_type, _ in instances):
        return None
    return sum(count * prices.hourly[instance_type] for instance_type, count in instances)


def _instances(account: Account, endpoint: str) -> list[tuple[str, int]] | None:
    """Return type and number of an endpoint's instances; None when a variant has none that can be told."""
    found = account.endpoints[endpoint]
    config = account.configs.get(found.configs[0]) if found.configs else None
    if config is None or not found.counts or found.counts.keys() - config.instance_types.keys():
        return None
    return [(config.instance_types[variant], count) for variant, count in found.counts.items()]


def counts(found: Iterable[Leftover]) -> dict[str, int]:
    """Return how many there are of each kind that there is."""
    number = Counter(each.kind for each in found)
    return {kind: number[kind] for kind in KINDS if number[kind]}


def hourly_sum(found: Iterable[Leftover]) -> float:
    """Return what all of them cost in an hour, as far as prices are known."""
    return round(sum(each.hourly_usd or 0.0 for each in found), 6)


def unknown_prices(found: Iterable[Leftover]) -> int:
    """Return how many have a price that is not known."""
    return sum(each.hourly_usd is None for each in found)


def report(found: Sequence[Leftover], now: datetime) -> dict[str, Any]:
    """Return the table as small JSON: numbers, the sum, and the first rows."""
    return {
        "found": counts(found),
        "hourly_usd": hourly_sum(found),
        "unknown_prices": unknown_prices(found),
        "rows": _rows(found[:ROWS], now),
    }


def _rows(found: Sequence[Leftover], now: datetime) -> list[dict[str, Any]]:
    return [
        {
            "kind": each.kind,
            "name": each.name,
            "age_days": round((now - each.since) / timedelta(days=1), 1),
            "reason": each.reason,
            "hourly_usd": None if each.hourly_usd is None else round(each.hourly_usd, 6),
        }
        for each in found
    ]


def sum_line(found: Sequence[Leftover]) -> str:
    """Return the table's last line."""
    number = ", ".join(f"{count} {kind}{'s' if count > 1 else ''}" for kind, count in counts(found).items())
    unknown = unknown_prices(found)
    more = f", and {unknown} of unknown price" if unknown else ""
    return f"{number or 'nothing'}: {hourly_sum(found):.4f} USD per hour{more}"


def table(found: Sequence[Leftover], now: datetime) -> str:
    """Return the leftovers as aligned text."""
    rows = [("kind", "name", "age", "USD/hour", "why it may go")]
    rows += [(each.kind, each.name, _age(now - each.since), _money(each.hourly_usd), each.reason) for each in found]
    return "\n".join([*aligned(rows), sum_line(found)])


def _age(age: timedelta) -> str:
    return f"{age.days} d" if age.days else f"{age / timedelta(hours=1):.1f} h"


def _money(amount: float | None) -> str:
    return "unknown" if amount is None else f"{amount:.4f}" if amount else "0"
