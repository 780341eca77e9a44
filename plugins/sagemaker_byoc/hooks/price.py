"""What instances cost, by AWS's own price list. Knows nothing of what is done with the prices."""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.hooks.repository import in_region

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sagemaker_byoc.hooks.connection import AwsConnection

__all__ = ["PRICE_LIST_REGION", "hourly_prices"]

log = logging.getLogger(__name__)

PRICE_LIST_REGION = "us-east-1"
"""The price list of all regions is served in three of them (botocore's endpoints), of which this is the oldest."""


def hourly_prices(connection: AwsConnection, instance_types: Iterable[str]) -> dict[str, float]:
    """Return USD per hour of hosting on demand in the connection's region, by instance type.

    A type is left out when the list has no price for it, or more than one, or cannot be asked: what is unknown must not
    hold up the task. The names of the attributes are those that others' programs use (``regionCode``, ``instanceName``,
    ``component``); AWS's reference does not list them.
    """
    client = in_region(connection, PRICE_LIST_REGION).client("pricing")
    found: dict[str, float] = {}
    for instance_type in sorted(instance_types):
        wanted = {"regionCode": connection.region, "instanceName": instance_type, "component": "Hosting"}
        filters = [{"Type": "TERM_MATCH", "Field": field, "Value": value} for field, value in wanted.items()]
        try:
            pages = client.get_paginator("get_products").paginate(ServiceCode="AmazonSageMaker", Filters=filters)
            prices = {price for page in pages for text in page["PriceList"] for price in _on_demand(json.loads(text))}
        except Exception as error:  # noqa: BLE001 - see above
            log.warning("The price list cannot be asked, so that prices are unknown: %s", error)
            return found
        if len(prices) == 1:
            found.update({instance_type: prices.pop()})
        else:
            log.warning("The price list has %s prices for hosting on %s.", len(prices), instance_type)
    return found


def _on_demand(product: Mapping[str, Any]) -> Iterator[float]:
    """Yield the prices per hour of a product that are not zero."""
    for term in product.get("terms", {}).get("OnDemand", {}).values():
        for dimension in term.get("priceDimensions", {}).values():
            price = float(dimension.get("pricePerUnit", {}).get("USD", 0))
            if price > 0 and str(dimension.get("unit", "")).lower() in ("hrs", "hours", "hour"):
                yield price
