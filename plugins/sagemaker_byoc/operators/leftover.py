"""Finds what this package left behind on AWS, and deletes it when asked to.

Owns parameters and report. What may go is decided in ``leftover``.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from sagemaker_byoc.errors import LeftoverError, RequestError
from sagemaker_byoc.hooks.account import Inventory
from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.leftover import LeftoverHook
from sagemaker_byoc.hooks.paced_client import PacedClient
from sagemaker_byoc.hooks.price import hourly_prices
from sagemaker_byoc.leftover import Retention, leftovers
from sagemaker_byoc.limit import count, number
from sagemaker_byoc.request import as_flag, read_mapping
from sagemaker_byoc.retry import fail_fast
from sagemaker_byoc.saving import Prices, given_prices, instance_types, priced, report, sum_line, table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from sagemaker_byoc.account import Account
    from sagemaker_byoc.hooks.leftover import Deletion
    from sagemaker_byoc.leftover import Leftover

__all__ = ["CleanUpLeftoversOperator"]

MOST_DAYS = 36500


class CleanUpLeftoversOperator(BaseOperator):
    """Find endpoint configurations, models, images, claims and endpoints that nobody needs; delete them if asked to.

    Only what carries the tag ``project=sagemaker-byoc`` may go, and of images those whose tags all begin with ``ctx-``.
    What an endpoint, a configuration or model of whoever, a running training job, or an approved version of the model
    registry refers to stays; so do the configurations to go back to, the newest image of each repository, and whatever
    is younger than the retention. A model that only batch transform uses looks like a leftover: leave out its tag.

    References are looked at again immediately before each deletion. One that fails does not hold up the others; the
    task fails in the end, and its retry finds the rest.

    Returns ``{"delete", "found": {kind: number}, "hourly_usd", "unknown_prices", "rows": the first 20, "more",
    "outcomes": {outcome: number}, "failures": the first 20, "kept_because": {kind: why none may go}}``. The whole table
    is in the task's log.

    :param delete: delete what is found; otherwise it is only told (templated)
    :param repositories: names of ECR repositories whose images may go; none means no images (templated)
    :param retention_days: nothing younger goes; an image counts from its last pull, as far as ECR tells (templated)
    :param keep_configs: how many configurations of each endpoint stay to go back to, besides the live one's
        predecessor (templated)
    :param claims_older_than_days: age above which claims on an endpoint, and tickets of runs that waited for it, are
        left behind (templated)
    :param endpoints_older_than_days: delete endpoints that nobody has changed for so long, too, though they serve; None
        for never. A number below ``retention_days`` counts as that (templated)
    :param hourly_prices: USD per hour of an endpoint's instance, by instance type; they overrule AWS's price list
        (templated)
    :param storage_price: USD of a GB and month in ECR, to tell what images cost; None leaves that unknown (templated)
    :param maximum_leftovers: how many are told and deleted in one run (templated)
    :param calls_per_second: how fast AWS is asked, in the long run
    :param aws_conn_id: Airflow connection (templated)
    :param region_name: AWS region; None is the connection's (templated)
    :param verify: whether, or by which bundle, TLS certificates are checked
    :param botocore_config: keyword arguments of ``botocore.config.Config``
    """

    template_fields: Sequence[str] = (
        "delete",
        "repositories",
        "retention_days",
        "keep_configs",
        "claims_older_than_days",
        "endpoints_older_than_days",
        "hourly_prices",
        "storage_price",
        "maximum_leftovers",
        "aws_conn_id",
        "region_name",
    )
    template_fields_renderers = {"hourly_prices": "json"}  # noqa: RUF012 - as Airflow declares it
    ui_color = "#f8cecc"

    def __init__(
        self,
        *,
        delete: bool | str = False,
        repositories: Sequence[str] = (),
        retention_days: float | str = 30,
        keep_configs: int | str = 3,
        claims_older_than_days: float | str = 2,
        endpoints_older_than_days: float | str | None = None,
        hourly_prices: dict[str, float] | str | None = None,
        storage_price: float | str | None = None,
        maximum_leftovers: int | str = 200,
        calls_per_second: float = 5.0,
        aws_conn_id: str | None = "aws_default",
        region_name: str | None = None,
        verify: bool | str | None = None,
        botocore_config: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.delete = delete
        self.repositories = repositories
        self.retention_days = retention_days
        self.keep_configs = keep_configs
        self.claims_older_than_days = claims_older_than_days
        self.endpoints_older_than_days = endpoints_older_than_days
        self.hourly_prices = hourly_prices
        self.storage_price = storage_price
        self.maximum_leftovers = maximum_leftovers
        self.calls_per_second = calls_per_second
        self.aws_conn_id = aws_conn_id
        self.region_name = region_name
        self.verify = verify
        self.botocore_config = botocore_config

    def execute(self, context: Context) -> dict[str, Any]:
        """Look, tell, and delete."""
        with fail_fast():
            delete, retention, most = as_flag(self.delete, "delete"), self._retention(), self._maximum()
            prices, repositories = self._prices(), self._repositories()
            if not self.calls_per_second > 0:
                raise RequestError("calls_per_second", self.calls_per_second, "a number greater than 0")
            connection = AwsConnection.of(self)
            client = PacedClient(connection, self.calls_per_second)
            inventory = Inventory(connection, client, repositories, retention.younger_than)
            account, now = inventory.read(), datetime.now(timezone.utc)
            found = leftovers(account, retention, now)
            told = self._tell(found[:most], account, prices, now)
            result = {"delete": delete, **report(told, now), "more": len(found) - len(told)}
            done = LeftoverHook(connection, client, inventory, retention).delete(told) if delete else []
            self._finish(context, result, done, account)
            return result

    def _tell(self, found: Sequence[Leftover], account: Account, prices: Prices, now: datetime) -> list[Leftover]:
        """Say what was found and what it costs; the price list is asked only about what no one has given."""
        missing = instance_types(found, account) - prices.hourly.keys()
        listed = hourly_prices(AwsConnection.of(self), missing) if missing else {}
        told = priced(found, account, Prices({**listed, **prices.hourly}, prices.storage))
        self.log.info("What may go:\n%s", table(told, now))
        return told

    def _finish(self, context: Context, result: dict[str, Any], done: Sequence[Deletion], account: Account) -> None:
        """Add to the result what became of the leftovers.

        :raises LeftoverError: something could not be deleted; the result is pushed before
        """
        failed = [each for each in done if each.outcome == "failed"]
        result.update(outcomes(done), kept_because=account.unsure)
        if result["more"]:
            self.log.info("%s more may go than maximum_leftovers lets one run tell.", result["more"])
        if done:
            self.log.info("Deleted %s", sum_line([each.leftover for each in done if each.outcome == "deleted"]))
        if failed:
            context["ti"].xcom_push(key="return_value", value=result)
            stories = "; ".join(f"{each.leftover.kind} {each.leftover.name}: {each.reason}" for each in failed[:5])
            message = f"{len(failed)} of {len(done)} leftovers could not be deleted: {stories}"
            raise LeftoverError(message)

    def _retention(self) -> Retention:
        default = Retention()
        return Retention(
            younger_than=_days("retention_days", self.retention_days) or default.younger_than,
            configs=count("keep_configs", self.keep_configs),
            claims=_days("claims_older_than_days", self.claims_older_than_days) or default.claims,
            endpoints=_days("endpoints_older_than_days", self.endpoints_older_than_days),
        )

    def _maximum(self) -> int:
        return count("maximum_leftovers", self.maximum_leftovers)

    def _prices(self) -> Prices:
        given = read_mapping(self.hourly_prices, "hourly_prices") or {}
        storage = number("storage_price", self.storage_price)
        if storage is not None and storage < 0:
            raise RequestError("storage_price", self.storage_price, "USD of a GB and month, a number from 0 on")
        return Prices(given_prices(given, "hourly_prices"), storage)

    def _repositories(self) -> list[str]:
        given: Any = self.repositories
        if isinstance(given, str) or not all(isinstance(name, str) for name in given):
            raise RequestError("repositories", given, "a list of names of ECR repositories")
        return [name for name in given if name.strip()]


def outcomes(done: Sequence[Deletion]) -> Mapping[str, Any]:
    """Return how many ended in which way, and the first failures."""
    numbers: dict[str, int] = {}
    for each in done:
        numbers[each.outcome] = numbers.get(each.outcome, 0) + 1
    failures = [
        f"{each.leftover.kind} {each.leftover.name}: {each.reason}" for each in done if each.outcome == "failed"
    ]
    return {"outcomes": numbers, "failures": failures[:20]}


def _days(field: str, given: float | str | None) -> timedelta | None:
    """Read a number of days; None when an empty text or None stands there.

    :raises RequestError: it is none, or not more than 0
    """
    days = number(field, given)
    if days is None:
        return None
    if not 0 < days <= MOST_DAYS:
        raise RequestError(field, given, f"a number of days, more than 0 and at most {MOST_DAYS}")
    return timedelta(days=days)
