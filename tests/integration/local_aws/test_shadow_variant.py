"""Shadow variants over HTTP with real serving processes: copies go there, and nothing comes back."""

from __future__ import annotations

import datetime as dt
import threading
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.hosting import HostingAccount, refusal
from tests.support.process_cloud import process_cloud, wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HostingAccount]:
    """One local AWS for the tests of this module."""
    with process_cloud(tmp_path_factory.mktemp("cloud"), startup_timeout_seconds=5.0) as cloud:
        yield HostingAccount(cloud)


def shadowed(account: HostingAccount, production: str = "production", **shadow: Any) -> str:
    """Make a configuration with a shadow variant beside the production variant; return its name."""
    defaults = {"ModelName": account.model("shadow")}
    return account.config({"ModelName": account.model(production)}, shadow={**defaults, **shadow})


def counted(account: HostingAccount, endpoint: str, variant: str, metric: str = "Invocations") -> float:
    """Return how often CloudWatch was told of this metric."""
    now = dt.datetime.now(dt.timezone.utc)
    dimensions = {"EndpointName": endpoint, "VariantName": variant}
    answer = account.cloud.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/SageMaker",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - dt.timedelta(hours=1),
        EndTime=now + dt.timedelta(hours=1),
        Period=3600,
        Statistics=["Sum"],
    )
    return float(sum(point["Sum"] for point in answer["Datapoints"]))


def test_every_request_is_copied_and_only_production_answers(account: HostingAccount) -> None:
    """With equal weights the shadow gets as many requests as the production variant."""
    name = account.endpoint(shadowed(account))
    answers = {account.invoke(name) for _ in range(30)}
    wait_until(lambda: counted(account, name, "Shadow") >= 30, "all copies are counted")

    assert answers == {"production"}
    assert counted(account, name, "Shadow") == counted(account, name, "AllTraffic") == 30
    endpoint = account.sagemaker.describe_endpoint(EndpointName=name)
    assert [found["VariantName"] for found in endpoint["ProductionVariants"]] == ["AllTraffic"]
    assert [found["VariantName"] for found in endpoint["ShadowProductionVariants"]] == ["Shadow"]
    assert endpoint["ShadowProductionVariants"][0]["CurrentInstanceCount"] == 1


def test_a_shadow_without_weight_gets_nothing_until_it_has_some(account: HostingAccount) -> None:
    """Its weight beside that of the production variant is the part of the requests that is copied."""
    name = account.endpoint(shadowed(account, InitialVariantWeight=0.0))
    for _ in range(20):
        account.invoke(name)
    account.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=name, DesiredWeightsAndCapacities=[{"VariantName": "Shadow", "DesiredWeight": 1.0}]
    )
    account.settled(name)
    account.invoke(name)
    wait_until(lambda: counted(account, name, "Shadow"), "the copy is counted")

    assert counted(account, name, "Shadow") == 1
    assert counted(account, name, "AllTraffic") == 21


def test_a_shadow_that_fails_or_hangs_is_not_noticed(account: HostingAccount) -> None:
    """Answers come at once, while the shadow first does not answer and then is gone."""
    name = account.endpoint(shadowed(account))
    places = account.cloud.state_dir / "endpoints"
    token = account.name("request")
    asking = threading.Thread(target=lambda: account.invoke(name, f"wait {token}".encode()))
    asking.start()

    # Both containers hold the request; only the production variant's may go on.
    def arrived() -> Any:
        found = list(places.glob(f"*/{token}-arrived"))
        return found if len(found) == 2 else None

    first, second = wait_until(arrived, "the copy has arrived as well")
    production = first if (first.parent / "model" / "name").read_text() == "production" else second
    production.with_name(f"{token}-released").touch()
    asking.join()
    assert account.invoke(name) == "production"

    shadow = second if production is first else first
    shadow.with_name(f"{token}-released").touch()
    assert "because of you" in refusal(lambda: account.invoke(name, b"status 500"))
    wait_until(lambda: counted(account, name, "Shadow", "Invocation5XXErrors"), "the shadow's error is counted")
    assert account.invoke(name) == "production"


def test_a_shadow_comes_and_goes_with_its_configuration(account: HostingAccount) -> None:
    """An update brings the shadow of the new configuration, or none; the old one's instances end."""
    name = account.endpoint(account.simple_config("alone"))
    places = account.cloud.state_dir / "endpoints"
    before = len(list(places.iterdir()))
    account.update(name, shadowed(account, "beside", InitialInstanceCount=2))
    beside, with_shadow = account.settled(name), len(list(places.iterdir()))
    account.update(name, account.simple_config("alone again"))
    alone = account.settled(name)

    assert beside["ShadowProductionVariants"][0]["CurrentInstanceCount"] == 2
    assert with_shadow == before + 2
    assert "ShadowProductionVariants" not in alone
    assert len(list(places.iterdir())) == before


def test_a_shadow_cannot_be_invoked(account: HostingAccount) -> None:
    """TargetVariant names production variants only."""
    name = account.endpoint(shadowed(account))
    assert f"Variant Shadow of endpoint {name} not found" in refusal(
        lambda: account.invoke(name, TargetVariant="Shadow")
    )


def test_one_production_variant_has_one_shadow(account: HostingAccount) -> None:
    """More on either side is refused."""
    model = {"ModelName": account.model("alpha")}
    assert "one production variant and one shadow variant" in refusal(
        lambda: account.config(model, model, shadow=model)
    )
