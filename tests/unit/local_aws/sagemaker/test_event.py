"""Events in their order."""

from __future__ import annotations

import json

from local_aws.sagemaker.event import EventPublisher
from tests.support.fake_clients import FakeCloud


def test_events_arrive_in_the_order_in_which_they_were_published() -> None:
    """Closing waits for the last one."""
    cloud = FakeCloud()
    publisher = EventPublisher(cloud)  # type: ignore[arg-type]
    for number in range(50):
        publisher.publish("Change", "arn", {"number": number})
    publisher.close()

    entries = [entry for call in cloud.calls("events", "put_events") for entry in call["Entries"]]
    assert [json.loads(entry["Detail"])["number"] for entry in entries] == list(range(50))
    assert {(entry["Source"], entry["DetailType"], *entry["Resources"]) for entry in entries} == {
        ("aws.sagemaker", "Change", "arn")
    }
