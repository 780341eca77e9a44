"""All instances that serve one endpoint configuration, and which of them gets a request.

Owns the variants' weights, the number of instances and their replacement. Must not know endpoints' statuses.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local_aws.sagemaker.instance import Instance, InstanceError, InstancePlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from local_aws.sagemaker.endpoint_config import Variant

__all__ = ["Capacity", "Fleet", "FleetClosedError", "NoInstanceError", "VariantFleet"]

_DRAIN_SECONDS = 65.0
"""A request may take 60 seconds (developer guide, hosting); the rest is for its way back."""

_logger = logging.getLogger(__name__)


class FleetClosedError(Exception):
    """The fleet takes no more requests; another one has taken over."""


class NoInstanceError(Exception):
    """The variant has no healthy instance, or the endpoint no such variant."""


@dataclass(frozen=True)
class Capacity:
    """What a variant is asked to have."""

    weight: float
    count: int


@dataclass
class VariantFleet:
    """The instances of one variant.

    :param variant: what the configuration asks for
    :param plan: what each instance runs
    :param weight: share of the traffic now, relative to the other variants
    :param desired: what weight and number of instances are to be
    """

    variant: Variant
    plan: InstancePlan
    weight: float
    desired: Capacity
    instances: list[Instance] = field(default_factory=list)
    resolved: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))

    def pick(self) -> Instance:
        """Return the instance that gets the next request.

        :raises NoInstanceError: when every one of them is being replaced
        """
        if not self.instances:
            message = f"variant {self.variant.name} has no healthy instance at the moment"
            raise NoInstanceError(message)
        if self.variant.picks_least_busy:
            return min(self.instances, key=lambda instance: instance.in_flight)
        return random.choice(self.instances)  # noqa: S311 - it spreads load, it keeps no secret


class Fleet:
    """The instances of all variants.

    :param variants: with their plans; no instance is started yet
    :param make_instance: makes one that is not started
    """

    def __init__(self, variants: Sequence[VariantFleet], make_instance: Callable[[InstancePlan], Instance]) -> None:
        self._variants = {fleet.variant.name: fleet for fleet in variants}
        self._make_instance = make_instance
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._starting: set[Instance] = set()

    @property
    def variants(self) -> list[VariantFleet]:
        """The variants in the order of the configuration."""
        return list(self._variants.values())

    def start(self) -> None:
        """Start every instance and wait until all of them are healthy.

        :raises InstanceError: when one does not come up; the others are ended then
        """
        try:
            self._add({fleet.variant.name: fleet.desired.count for fleet in self.variants})
        except InstanceError:
            self.close()
            raise

    def scale(self, capacities: dict[str, Capacity]) -> None:
        """Bring variants to new numbers of instances, then to new weights.

        :param capacities: by variant name; others stay as they are
        :raises InstanceError: when an additional instance does not come up; nothing has changed then
        """
        missing = {name: new.count - len(self._variants[name].instances) for name, new in capacities.items()}
        self._add({name: count for name, count in missing.items() if count > 0})
        surplus: list[Instance] = []
        with self._lock:
            for name, new in capacities.items():
                fleet = self._variants[name]
                surplus += fleet.instances[new.count :]
                del fleet.instances[new.count :]
                fleet.desired, fleet.weight = new, new.weight
        _close_all(surplus, drain_seconds=_DRAIN_SECONDS)

    @contextlib.contextmanager
    def lease(self, variant_name: str | None) -> Iterator[tuple[str, Instance]]:
        """Give an instance for one request, with the name of its variant; it is not ended meanwhile.

        :param variant_name: the variant to use; None lets the weights decide
        :raises FleetClosedError: when this fleet has been replaced
        :raises NoInstanceError: when there is none to give
        """
        with self._lock:
            if self._closed.is_set():
                raise FleetClosedError
            fleet = self._choose(variant_name)
            instance = fleet.pick()
            instance.enter()
        try:
            yield fleet.variant.name, instance
        finally:
            instance.leave()

    def close(self, *, drain_seconds: float = _DRAIN_SECONDS, grace_seconds: float | None = None) -> None:
        """Take no more requests, let the running ones finish, end every instance."""
        with self._lock:
            self._closed.set()
            instances = [*self._starting]
            for fleet in self.variants:
                instances += fleet.instances
                fleet.instances = []
        _close_all(instances, drain_seconds=drain_seconds, grace_seconds=grace_seconds)

    def _choose(self, name: str | None) -> VariantFleet:
        if name is not None:
            if name not in self._variants:
                message = f"there is no variant {name}; there are {', '.join(self._variants)}"
                raise NoInstanceError(message)
            return self._variants[name]
        fleets = self.variants
        weights = [fleet.weight if fleet.instances else 0.0 for fleet in fleets]
        most = max(weights)
        if not most:
            raise NoInstanceError("no variant with a weight above 0 has a healthy instance at the moment")
        # As shares of the largest: the sum of weights near a float's limit would be infinite.
        shares = [weight / most for weight in weights]
        return random.choices(fleets, shares)[0]  # noqa: S311 - it spreads load, it keeps no secret

    def _add(self, counts: dict[str, int]) -> None:
        """Start instances together; they get traffic only when all of them are healthy."""
        wanted = [self._variants[name] for name, count in counts.items() for _ in range(count)]
        if not wanted:
            return
        made = [(fleet, self._make_instance(fleet.plan)) for fleet in wanted]
        with self._lock:
            self._starting |= {instance for _, instance in made}
        try:
            self._start_together([instance for _, instance in made])
            self._give_traffic(made)
        except Exception:
            _close_all([instance for _, instance in made], drain_seconds=0)
            raise
        finally:
            with self._lock:
                self._starting -= {instance for _, instance in made}
        for fleet, instance in made:
            self._watch(fleet, instance)

    def _give_traffic(self, made: Sequence[tuple[VariantFleet, Instance]]) -> None:
        with self._lock:
            if self._closed.is_set():
                raise InstanceError("the fleet was ended while it started")
            for fleet, instance in made:
                fleet.instances.append(instance)

    def _start_together(self, instances: Sequence[Instance]) -> None:
        cancelled = _Either(self._closed)
        with ThreadPoolExecutor(len(instances), thread_name_prefix="instance") as pool:
            for future in as_completed([pool.submit(instance.start, cancelled) for instance in instances]):
                error = future.exception()
                if error is not None:
                    cancelled.set()
                    raise error

    def _watch(self, fleet: VariantFleet, instance: Instance) -> None:
        instance.watch(lambda failed: self._replace(fleet, failed))

    def _replace(self, fleet: VariantFleet, failed: Instance) -> None:
        """Take a broken instance out at once and put a new one in its place, however often that takes."""
        with self._lock:
            if failed not in fleet.instances:
                return
            fleet.instances.remove(failed)
        failed.close(drain_seconds=0)
        while not self._closed.is_set() and len(fleet.instances) < fleet.desired.count:
            try:
                self._add({fleet.variant.name: 1})
            except InstanceError as error:
                _logger.warning("A broken instance of variant %s is not replaced yet: %s", fleet.variant.name, error)
                self._closed.wait(1.0)


class _Either(threading.Event):
    """An event that counts as set also when another one is."""

    def __init__(self, other: threading.Event) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Tell whether one of the two is set."""
        return super().is_set() or self._other.is_set()


def _close_all(instances: Iterable[Instance], *, drain_seconds: float, grace_seconds: float | None = None) -> None:
    options = {} if grace_seconds is None else {"grace_seconds": grace_seconds}
    threads = [
        threading.Thread(target=instance.close, kwargs={"drain_seconds": drain_seconds, **options}, daemon=True)
        for instance in instances
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
