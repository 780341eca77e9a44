"""What CloudWatch's answers mean for a deployment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import botocore.exceptions

from local_aws.sagemaker.alarm import Alarms

if TYPE_CHECKING:
    import pytest


class FakeCloudWatch:
    """CloudWatch with some alarms, in place of the client and of where it comes from.

    :param states: by name; those that begin with "all-" are composite
    """

    def __init__(self, **states: str) -> None:
        self._states = states
        self.fails = False
        self.asked = 0

    def client(self, service: str) -> FakeCloudWatch:
        """Stand for the cloud."""
        assert service == "cloudwatch"
        return self

    def describe_alarms(self, AlarmNames: list[str], AlarmTypes: list[str]) -> dict[str, Any]:  # noqa: N803 - AWS's
        """Answer as CloudWatch does: metric alarms only, unless both types are asked for."""
        self.asked += 1
        if self.fails:
            raise botocore.exceptions.EndpointConnectionError(endpoint_url="http://127.0.0.1")
        found: dict[str, Any] = {"MetricAlarms": [], "CompositeAlarms": []}
        for name in AlarmNames:
            kind = "CompositeAlarm" if name.startswith("all") else "MetricAlarm"
            if name in self._states and kind in AlarmTypes:
                found[f"{kind}s"].append({"AlarmName": name, "StateValue": self._states[name]})
        return found


def alarms(cloud: Any, *names: str) -> Alarms:
    """Return the alarms of these names."""
    return Alarms(cloud, names)


def test_alarms_of_either_kind_count_when_they_are_in_alarm() -> None:
    """Not having enough data is no reason to go back."""
    cloud = FakeCloudWatch(errors="ALARM", all="ALARM", latency="OK", new="INSUFFICIENT_DATA")
    assert alarms(cloud, "errors", "all", "latency", "new").tripped() == ["errors", "all"]


def test_names_that_cloudwatch_does_not_know_are_told() -> None:
    """A deployment that nothing guards must not begin."""
    assert alarms(FakeCloudWatch(errors="OK"), "errors", "typo").missing() == ["typo"]


def test_without_alarms_nobody_is_asked() -> None:
    """An empty list of names would mean all alarms of the account."""
    cloud = FakeCloudWatch(errors="ALARM")
    assert (alarms(cloud).tripped(), alarms(cloud).missing(), cloud.asked) == ([], [], 0)


def test_a_look_that_fails_is_not_an_alarm(caplog: pytest.LogCaptureFixture) -> None:
    """It is told in the log, and the next look may succeed."""
    cloud = FakeCloudWatch(errors="ALARM")
    cloud.fails = True
    assert alarms(cloud, "errors").tripped() == []
    assert "errors cannot be looked at" in caplog.text
