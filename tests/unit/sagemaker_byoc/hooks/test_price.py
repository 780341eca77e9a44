"""The price of an instance, and what is made of a list that has none, or several."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sagemaker_byoc.hooks.connection import AwsConnection
from sagemaker_byoc.hooks.price import hourly_prices
from tests.support.fake_aws import AwsSays, FakeAws

if TYPE_CHECKING:
    import pytest

CONNECTION = AwsConnection(None)


def product(*prices: str, unit: str = "Hrs") -> str:
    """Return a product of the price list as AWS sends it: JSON as text."""
    dimensions = {str(number): {"unit": unit, "pricePerUnit": {"USD": price}} for number, price in enumerate(prices)}
    return json.dumps({"product": {}, "terms": {"OnDemand": {"term": {"priceDimensions": dimensions}}, "Reserved": {}}})


def answer(*products: str, **more: str) -> dict[str, Any]:
    """Return an answer of GetProducts."""
    return {"FormatVersion": "aws_v1", "PriceList": list(products), **more}


def test_the_price_of_hosting_in_the_region_is_asked(aws: FakeAws) -> None:
    """In the region of the price list, over all pages."""
    aws.on("GetProducts", lambda **asked: answer(product("0.1150")) if "NextToken" in asked else answer(NextToken="2"))
    assert hourly_prices(CONNECTION, ["ml.m5.large"]) == {"ml.m5.large": 0.115}
    asked = aws.asked("GetProducts")[0]
    wanted = {each["Field"]: each["Value"] for each in asked["Filters"]}
    assert wanted == {"regionCode": "eu-west-1", "instanceName": "ml.m5.large", "component": "Hosting"}
    assert asked["ServiceCode"] == "AmazonSageMaker"


def test_only_one_price_is_a_price(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    """The same one twice is one; two are none, and so are zero and prices of something else than an hour."""
    lists = {
        "one": answer(product("0.5"), product("0.50", "0.0")),
        "two": answer(product("0.5"), product("0.6")),
        "none": answer(product("0.0"), product("0.7", unit="GB")),
    }
    aws.on("GetProducts", lambda **asked: lists[asked["Filters"][1]["Value"]])
    assert hourly_prices(CONNECTION, ["one", "two", "none"]) == {"one": 0.5}
    assert "has 2 prices for hosting on two" in caplog.text


def test_without_the_permission_prices_are_unknown(aws: FakeAws, caplog: pytest.LogCaptureFixture) -> None:
    """That holds nothing up."""
    aws.on("GetProducts", AwsSays("AccessDeniedException", "not authorized to GetProducts"))
    assert hourly_prices(CONNECTION, ["ml.m5.large", "ml.c5.large"]) == {}
    assert "not authorized to GetProducts" in caplog.text
    assert len(aws.asked("GetProducts")) == 1
