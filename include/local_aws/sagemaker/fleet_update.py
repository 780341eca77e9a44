"""Carries out an update from one fleet to the next, and the way back.

Owns the order of launching, shifting, watching and ending, for blue/green and for rolling updates. Must not know
endpoints' statuses. Either fleet answers every request until nothing of its traffic is left.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Protocol

from local_aws.sagemaker.fleet import Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from local_aws.sagemaker.baking import Baking
    from local_aws.sagemaker.fleet import Fleet, VariantFleet
    from local_aws.sagemaker.rollout import Rollout, Step
    from local_aws.sagemaker.traffic import Traffic

__all__ = ["BlueGreenUpdate", "FleetUpdate", "RollingUpdate", "Scene", "update_of"]


class FleetUpdate(Protocol):
    """One way to get from the old fleet to the new one."""

    def carry_out(self) -> None:
        """Move all traffic to the new fleet and end the old one.

        :raises InstanceError: when a new instance does not come up
        :raises BakingError: when an alarm or the time limit speaks against going on
        """

    def roll_back(self) -> None:
        """Move all traffic back to the old fleet and end the new one.

        :raises InstanceError: when an old instance does not come up again; both fleets serve on then
        """


class Scene:
    """What both ways share: the fleets, the traffic and who is told about progress.

    :param tell: called after every change of a variant's stage
    """

    def __init__(self, traffic: Traffic, old: Fleet, new: Fleet, baking: Baking, tell: Callable[[], None]) -> None:
        self.traffic = traffic
        self.old = old
        self.new = new
        self.baking = baking
        self._tell = tell

    def launch(self, counts: dict[str, int]) -> None:
        """Start instances of the new fleet until there are so many; also say so."""
        missing = {name: count - _running(self.new, name) for name, count in counts.items()}
        self._say(self.new, "Creating", lambda fleet: f"Launching {missing.get(fleet.variant.name, 0)} instance(s).")
        self.new.resize(counts)
        self.baking.check_time()

    def shift(self, step: Step, active: Callable[[int], int | None]) -> None:
        """Give the new fleet its next share and watch.

        :param active: how many instances of a variant get it, of its number in the end
        """
        for fleet in self.new.variants:
            fleet.active = active(fleet.desired.count)
        self._say(self.new, "ActivatingTraffic", lambda fleet: f"Activating traffic on {_capacity(step, fleet)}.")
        self.traffic.share(self.new, step.share)
        waits = f"Baking for {step.bake_seconds} seconds ({step.waits_for}) with traffic enabled on"
        self._say(self.new, "Baking", lambda fleet: f"{waits} {_capacity(step, fleet)}.")
        self.baking.bake(step.bake_seconds)

    def say_terminating(self, fleet: Fleet, count: Callable[[VariantFleet], int]) -> None:
        """Tell about instances that end."""
        self._say(fleet, "Deleting", lambda variant: f"Terminating {count(variant)} instance(s).")

    def finish(self) -> None:
        """End the old fleet, which gets no traffic any more."""
        self.say_terminating(self.old, lambda variant: len(variant.instances))
        self.old.close()
        self._settle(self.new)

    def restore(self) -> None:
        """Give the old fleet, whose instances are all there, everything back."""
        self._settle(self.old)
        self.new.close()

    def _settle(self, fleet: Fleet) -> None:
        for variant in fleet.variants:
            variant.active = variant.stage = None
        self.traffic.settle(fleet)

    def _say(self, fleet: Fleet, status: str, message: Callable[[VariantFleet], str]) -> None:
        for variant in fleet.variants:
            variant.stage = Stage(status, message(variant))
        self._tell()


class BlueGreenUpdate:
    """The whole new fleet is there before it gets traffic, and the whole old one until the end."""

    def __init__(self, scene: Scene, rollout: Rollout) -> None:
        self._scene = scene
        self._rollout = rollout

    def carry_out(self) -> None:
        """Start the new fleet, shift the traffic step by step, end the old fleet."""
        fleets = [*self._scene.new.variants, *self._scene.new.shadows]
        self._scene.launch({fleet.variant.name: fleet.desired.count for fleet in fleets})
        smallest = min(fleet.desired.count for fleet in self._scene.new.variants)
        for step in self._rollout.steps(smallest):
            self._scene.shift(step, step.instances)
        self._scene.finish()

    def roll_back(self) -> None:
        """Return at once: nothing of the old fleet was ended."""
        self._scene.restore()


class RollingUpdate:
    """New instances come and old ones go in batches; only endpoints with one production variant have it."""

    def __init__(self, scene: Scene, rollout: Rollout) -> None:
        self._scene = scene
        self._rollout = rollout
        [self._old] = scene.old.variants
        [self._new] = scene.new.variants
        self._old_total = self._old.wanted

    def carry_out(self) -> None:
        """Batch by batch: launch new instances, give them traffic, watch, end as many old ones."""
        total = self._new.desired.count
        shadows = {fleet.variant.name: fleet.desired.count for fleet in self._scene.new.shadows}
        for step in self._rollout.steps(total):
            self._scene.launch({self._new.variant.name: step.instances(total), **shadows})
            self._scene.shift(step, lambda _: None)
            if step.share < 1:
                self._keep_old(self._old_total - math.floor(self._old_total * step.share))
        self._scene.finish()

    def roll_back(self) -> None:
        """Bring back old instances in batches; new ones go as the traffic leaves them."""
        batch = self._rollout.rollback_batch(self._old_total)
        while len(self._old.instances) < self._old_total:
            back = min(len(self._old.instances) + batch, self._old_total)
            self._scene.old.resize({self._old.variant.name: back})
            share = 1 - Fraction(back, self._old_total)
            if share:
                self._scene.traffic.share(self._scene.new, share)
                self._keep_new(math.ceil(self._new.desired.count * share))
        self._scene.restore()

    def _keep_old(self, count: int) -> None:
        self._scene.say_terminating(self._scene.old, lambda variant: len(variant.instances) - count)
        self._scene.old.resize({self._old.variant.name: count})

    def _keep_new(self, count: int) -> None:
        """End new instances beyond the count, if there are any."""
        fewer = min(count, len(self._new.instances))
        self._scene.new.resize({self._new.variant.name: fewer})


def update_of(rollout: Rollout, scene: Scene) -> FleetUpdate:
    """Return the update that a rollout asks for."""
    return RollingUpdate(scene, rollout) if rollout.is_rolling else BlueGreenUpdate(scene, rollout)


def _running(fleet: Fleet, name: str) -> int:
    return sum(len(variant.instances) for variant in [*fleet.variants, *fleet.shadows] if variant.variant.name == name)


def _capacity(step: Step, fleet: VariantFleet) -> str:
    return f"{step.capacity} of {step.instances(fleet.desired.count)} instance(s)"
