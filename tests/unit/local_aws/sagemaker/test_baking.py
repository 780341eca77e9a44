"""The watch over a deployment, on a clock that a test turns."""

from __future__ import annotations

import pytest

from local_aws.sagemaker.baking import Baking, BakingError, BrokenOffError


class FakeTime:
    """A clock that passes when somebody sleeps, alarms that ring at their time, and an end of the local AWS.

    :param rings: second at which the alarm rings
    :param ends: second at which the local AWS goes down
    """

    def __init__(self, rings: float | None = None, ends: float | None = None) -> None:
        self.now = 0.0
        self.looks: list[float] = []
        self._rings = rings
        self._ends = ends

    def tripped(self) -> list[str]:
        """Stand for the alarms."""
        self.looks.append(self.now)
        return ["errors", "latency"] if self._rings is not None and self.now >= self._rings else []

    def sleep(self, seconds: float) -> bool:
        """Let time pass."""
        self.now += seconds
        return self._ends is not None and self.now >= self._ends

    def baking(self, limit_seconds: float | None = None) -> Baking:
        """Return a watch that begins now."""
        return Baking(self, limit_seconds, self.sleep, lambda: self.now)


def test_a_quiet_bake_takes_its_time() -> None:
    """It looks at the beginning, at the end, and twice a second."""
    time = FakeTime()
    time.baking().bake(2)
    assert time.looks == [0.0, 0.5, 1.0, 1.5, 2.0]


def test_a_bake_of_no_seconds_looks_once() -> None:
    """An alarm that rings already is not passed by."""
    time = FakeTime()
    time.baking().bake(0)
    assert time.looks == [0.0]
    with pytest.raises(BakingError, match="errors, latency"):
        FakeTime(rings=0).baking().bake(0)


def test_an_alarm_ends_it_at_once() -> None:
    """The rest of an hour is not waited for."""
    time = FakeTime(rings=100)
    with pytest.raises(BakingError, match=r"in state ALARM: errors, latency\.$"):
        time.baking().bake(3600)
    assert time.now == 100


def test_the_time_limit_holds_for_all_bakes_together() -> None:
    """MaximumExecutionTimeoutInSeconds runs from the beginning of the deployment."""
    time = FakeTime()
    baking = time.baking(limit_seconds=600)
    baking.bake(400)
    with pytest.raises(BakingError, match=r"exceeded MaximumExecutionTimeoutInSeconds \(600\)"):
        baking.bake(400)
    assert time.now == 600


def test_the_time_limit_holds_while_nothing_bakes() -> None:
    """Instances that took too long to start end the deployment, too."""
    time = FakeTime()
    baking = time.baking(limit_seconds=600)
    baking.check_time()
    time.sleep(600)
    with pytest.raises(BakingError):
        baking.check_time()


def test_the_end_of_the_local_aws_ends_it() -> None:
    """Nothing is rolled back then, everything ends."""
    with pytest.raises(BrokenOffError):
        FakeTime(ends=1).baking().bake(3600)
