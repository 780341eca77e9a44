"""All instances that serve one endpoint configuration, and which of them gets a request.

Owns the variants' weights, the number of instances, their replacement and the copies for shadow variants. Must not know
endpoints' statuses, nor that there are other fleets.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import functools
import logging
import random
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local_aws.sagemaker.instance import Instance, InstanceError, InstancePlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from local_aws.sagemaker.endpoint_config import Variant

__all__ = ["Capacity", "Fleet", "FleetClosedError", "Lease", "NoInstanceError", "Stage", "VariantFleet"]

_DRAIN_SECONDS = 65.0
"""A request may take 60 seconds (developer guide, hosting); the rest is for its way back."""

_MOST_COPIES = 50
"""Requests that one shadow instance answers at a time; further copies are dropped, so that they cannot pile up."""

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


@dataclass(frozen=True)
class Stage:
    """Where a deployment is with a variant, in the words of ``ProductionVariantStatus``."""

    status: str
    message: str
    since: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))


@dataclass
class VariantFleet:
    """The instances of one variant.

    :param variant: what the configuration asks for
    :param plan: what each instance runs
    :param weight: share of the traffic now, relative to the other variants
    :param desired: what weight and number of instances are to be in the end
    :param wanted: how many instances are to run now; a broken one is replaced as long as there are fewer
    :param active: how many of them get traffic; None for all
    :param stage: what a deployment does with them; None when there is none
    """

    variant: Variant
    plan: InstancePlan
    weight: float
    desired: Capacity
    instances: list[Instance] = field(default_factory=list)
    wanted: int = 0
    active: int | None = None
    stage: Stage | None = None
    resolved: dt.datetime = field(default_factory=lambda: dt.datetime.now(dt.timezone.utc))

    @property
    def serving(self) -> list[Instance]:
        """The instances that get traffic."""
        return self.instances[: self.active]

    def pick(self) -> Instance:
        """Return the instance that gets the next request.

        :raises NoInstanceError: when every one of them is being replaced
        """
        serving = self.serving
        if not serving:
            message = f"variant {self.variant.name} has no healthy instance at the moment"
            raise NoInstanceError(message)
        if self.variant.picks_least_busy:
            return min(serving, key=lambda instance: instance.in_flight)
        return random.choice(serving)  # noqa: S311 - it spreads load, it keeps no secret


@dataclass(frozen=True)
class Lease:
    """One request's place.

    :param variant: name of the variant
    :param mirror: sends a copy of the request to the shadow variant, if there is one and it is to get this one
    """

    variant: str
    instance: Instance
    mirror: Callable[[Callable[[str, Instance], None]], None]


class Fleet:
    """The instances of all variants.

    :param variants: with their plans, shadow variants among them; no instance is started yet
    :param make_instance: makes one that is not started
    """

    def __init__(self, variants: Sequence[VariantFleet], make_instance: Callable[[InstancePlan], Instance]) -> None:
        self._all = {fleet.variant.name: fleet for fleet in variants}
        self._variants = {name: fleet for name, fleet in self._all.items() if not fleet.variant.is_shadow}
        self._make_instance = make_instance
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._starting: set[Instance] = set()

    @property
    def variants(self) -> list[VariantFleet]:
        """The production variants in the order of the configuration."""
        return list(self._variants.values())

    @property
    def shadows(self) -> list[VariantFleet]:
        """The shadow variants."""
        return [fleet for fleet in self._all.values() if fleet.variant.is_shadow]

    def start(self) -> None:
        """Start every instance and wait until all of them are healthy.

        :raises InstanceError: when one does not come up; the others are ended then
        """
        try:
            self.resize({name: fleet.desired.count for name, fleet in self._all.items()})
        except InstanceError:
            self.close()
            raise

    def resize(self, counts: Mapping[str, int]) -> None:
        """Bring variants to new numbers of instances: further ones are healthy, or the surplus drained, afterwards.

        :param counts: by variant name; others stay as they are
        :raises InstanceError: when an additional instance does not come up; nothing has changed then
        """
        self._grow(counts)
        with self._lock:
            surplus = self._cut(counts)
        _close_all(surplus, drain_seconds=_DRAIN_SECONDS)

    def scale(self, capacities: Mapping[str, Capacity]) -> None:
        """Bring variants to new numbers of instances and new weights.

        :param capacities: by variant name; others stay as they are
        :raises InstanceError: when an additional instance does not come up; nothing has changed then
        """
        counts = {name: new.count for name, new in capacities.items()}
        self._grow(counts)
        with self._lock:
            surplus = self._cut(counts)
            for name, new in capacities.items():
                self._all[name].desired, self._all[name].weight = new, new.weight
        _close_all(surplus, drain_seconds=_DRAIN_SECONDS)

    def take_over(self, other: Fleet) -> None:
        """Make the instances of another fleet, as they are, part of this one; the other one is over then."""
        with self._lock, other._lock:
            other._closed.set()
            moved = [(self._all[name], instance) for name, fleet in other._all.items() for instance in fleet.instances]
            for fleet, instance in moved:
                fleet.instances.append(instance)
                fleet.wanted = len(fleet.instances)
            for fleet in other._all.values():
                fleet.instances = []
        for fleet, instance in moved:
            self._watch(fleet, instance)

    @contextlib.contextmanager
    def lease(self, variant_name: str | None) -> Iterator[Lease]:
        """Give an instance for one request; it is not ended meanwhile.

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
            yield Lease(fleet.variant.name, instance, functools.partial(self._mirror, fleet))
        finally:
            instance.leave()

    def _mirror(self, fleet: VariantFleet, send: Callable[[str, Instance], None]) -> None:
        """Send a copy from a thread of its own; whatever comes of it, the request it copies knows nothing of it."""
        for shadow in self.shadows:
            with self._lock:
                chosen = self._choose_shadow(shadow, fleet)
            if chosen is not None:
                threading.Thread(target=_send, args=(send, shadow.variant.name, chosen), daemon=True).start()

    def _choose_shadow(self, shadow: VariantFleet, fleet: VariantFleet) -> Instance | None:
        """Return the shadow's instance for a copy, entered, or None when this request is not copied."""
        # Guess: that a part of the traffic can be copied is documented, that the weights say which part is not.
        sampled = random.random() * fleet.weight < shadow.weight  # noqa: S311 - as above
        if not sampled or self._closed.is_set() or not shadow.serving:
            return None
        instance = shadow.pick()
        if instance.in_flight >= _MOST_COPIES:
            return None
        instance.enter()
        return instance

    def close(self, *, drain_seconds: float = _DRAIN_SECONDS, grace_seconds: float | None = None) -> None:
        """Take no more requests, let the running ones finish, end every instance."""
        with self._lock:
            self._closed.set()
            instances = [*self._starting]
            for fleet in self._all.values():
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
        weights = [fleet.weight if fleet.serving else 0.0 for fleet in fleets]
        most = max(weights)
        if not most:
            raise NoInstanceError("no variant with a weight above 0 has a healthy instance at the moment")
        # As shares of the largest: the sum of weights near a float's limit would be infinite.
        shares = [weight / most for weight in weights]
        return random.choices(fleets, shares)[0]  # noqa: S311 - it spreads load, it keeps no secret

    def _grow(self, counts: Mapping[str, int]) -> None:
        missing = {name: count - len(self._all[name].instances) for name, count in counts.items()}
        self._add({name: count for name, count in missing.items() if count > 0})

    def _cut(self, counts: Mapping[str, int]) -> list[Instance]:
        """Return what is to be ended, after no request can reach it any more; the lock is held."""
        surplus: list[Instance] = []
        for name, count in counts.items():
            fleet = self._all[name]
            fleet.wanted = count
            surplus += fleet.instances[count:]
            del fleet.instances[count:]
        return surplus

    def _add(self, counts: Mapping[str, int]) -> None:
        """Start instances together; they get traffic only when all of them are healthy."""
        wanted = [self._all[name] for name, count in counts.items() for _ in range(count)]
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
                fleet.wanted = max(fleet.wanted, len(fleet.instances))

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
        while not self._closed.is_set() and len(fleet.instances) < fleet.wanted:
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


def _send(send: Callable[[str, Instance], None], variant: str, instance: Instance) -> None:
    try:
        send(variant, instance)
    except Exception:
        _logger.exception("A copy for shadow variant %s was not sent", variant)
    finally:
        instance.leave()


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
