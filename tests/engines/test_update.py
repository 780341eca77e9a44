"""The swap of a fleet under load, and its end: no request is lost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.hosting import refusal
from tests.support.process_cloud import wait_until

if TYPE_CHECKING:
    from tests.support.hosting import HostingAccount


def test_an_update_under_load_loses_no_request(hosting: HostingAccount) -> None:
    """Every request during the swap is answered by the old or the new fleet, and the new one stays."""
    name, new_config = hosting.endpoint(hosting.simple_config("old")), hosting.simple_config("new")
    with hosting.load(name, clients=4) as answers:
        hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=new_config)
        during = hosting.sagemaker.describe_endpoint(EndpointName=name)
        after = hosting.settled(name)

    assert set(answers) == {"old", "new"}
    assert during["EndpointStatus"] == "Updating"
    assert during["EndpointConfigName"] != new_config
    assert during["PendingDeploymentSummary"]["EndpointConfigName"] == new_config
    assert (after["EndpointStatus"], after["EndpointConfigName"]) == ("InService", new_config)
    assert "PendingDeploymentSummary" not in after
    assert hosting.invoke(name) == "new"
    wait_until(lambda: "told to end" in hosting.log(name), "the old container was told to end")


def test_an_update_waits_for_requests_of_the_old_fleet(hosting: HostingAccount) -> None:
    """A request that was running when the traffic moved gets its answer from the old container."""
    name = hosting.endpoint(hosting.simple_config("old"))
    with hosting.held_request(name) as answers:
        hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=hosting.simple_config("new"))
        wait_until(lambda: hosting.invoke(name) == "new", "the new fleet answers")
        still = hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]

    assert still == "Updating"
    assert answers == ["waited"]
    assert hosting.settled(name)["EndpointStatus"] == "InService"


def test_a_failed_update_leaves_the_old_fleet_serving(hosting: HostingAccount) -> None:
    """Status and configuration look as before; only the reason tells that the update failed."""
    old_config = hosting.simple_config("old")
    name, bad_config = hosting.endpoint(old_config), hosting.simple_config("new", MODE="exit")

    hosting.sagemaker.update_endpoint(EndpointName=name, EndpointConfigName=bad_config)
    endpoint = hosting.settled(name)

    assert (endpoint["EndpointStatus"], endpoint["EndpointConfigName"]) == ("InService", old_config)
    assert "did not pass the ping health check" in endpoint["FailureReason"]
    assert hosting.invoke(name) == "old"


def test_deletion_lets_the_running_request_finish(hosting: HostingAccount) -> None:
    """A deleted endpoint is Deleting until its last answer is out, then it is gone with its files."""
    name = hosting.endpoint(hosting.simple_config("alpha"))
    with hosting.held_request(name) as answers:
        hosting.sagemaker.delete_endpoint(EndpointName=name)
        status = hosting.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"]
        refused = refusal(lambda: hosting.invoke(name))

    assert status == "Deleting"
    assert refused == f"ValidationError: Endpoint {name} of account 123456789012 not found."
    assert answers == ["waited"]
    hosting.wait_until_gone(name)
