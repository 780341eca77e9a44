"""Brings an endpoint from one state to the next: first fleet, swap of fleets, new capacities, end.

Owns the endpoint's live fleet and the threads that change it. Must not know the API. The new fleet of an update is up
and healthy before it gets traffic, all of it at once; then the old one finishes its requests and ends.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import threading
from typing import TYPE_CHECKING, Any

from local_aws.container import ContainerError
from local_aws.errors import AwsError
from local_aws.sagemaker.endpoint_state import EndpointState, describe_variants
from local_aws.sagemaker.fleet import Capacity, Fleet, FleetClosedError, VariantFleet
from local_aws.sagemaker.instance import Instance, InstanceError, InstancePlan

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from local_aws.cloud import Cloud
    from local_aws.container import Engine
    from local_aws.sagemaker.deployment_config import Rollout
    from local_aws.sagemaker.endpoint_config import Variant
    from local_aws.sagemaker.model import Models

__all__ = ["DEFAULT_STARTUP_SECONDS", "Deployment", "FleetMaker"]

DEFAULT_STARTUP_SECONDS = 480.0
"""Eight minutes for the first good answer of ``/ping`` (developer guide, "Custom Inference Code with Hosting")."""

_SHUTDOWN_GRACE_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class FleetMaker:
    """Makes fleets that are not started yet.

    :param models: what variants run
    :param startup_timeout_seconds: for variants that do not say how long they may take
    """

    def __init__(self, cloud: Cloud, engine: Engine, models: Models, startup_timeout_seconds: float) -> None:
        self._cloud = cloud
        self._engine = engine
        self._models = models
        self._startup_timeout_seconds = startup_timeout_seconds

    def make(self, endpoint_name: str, variants: Sequence[Variant], kept: Mapping[str, Capacity]) -> Fleet:
        """Return the fleet of an endpoint.

        :param kept: capacities that replace those of the configuration, by variant
        :raises InstanceError: when a model or its image is gone
        """
        fleets = [
            self._variant_fleet(endpoint_name, variant, kept.get(variant.name, Capacity(variant.weight, variant.count)))
            for variant in variants
        ]
        return Fleet(fleets, lambda plan: Instance(plan, self._cloud, self._engine))

    def _variant_fleet(self, endpoint_name: str, variant: Variant, capacity: Capacity) -> VariantFleet:
        try:
            container = self._models.container(variant.model)
            image = self._engine.resolve(container.image)
        except AwsError as error:
            raise InstanceError(error.message) from error
        except ContainerError as error:
            raise InstanceError(str(error)) from error
        timeout = variant.startup_timeout_seconds or self._startup_timeout_seconds
        group = f"/aws/sagemaker/Endpoints/{endpoint_name}"
        plan = InstancePlan(variant.name, image, container, group, timeout)
        return VariantFleet(variant, plan, capacity.weight, capacity)


class Deployment:
    """One endpoint with the fleet that serves it.

    :param state: is kept up to date
    :param make_fleet: gets variants and the capacities to keep
    :param on_deleted: called when nothing of the endpoint is left
    """

    def __init__(
        self,
        state: EndpointState,
        make_fleet: Callable[[Sequence[Variant], Mapping[str, Capacity]], Fleet],
        on_deleted: Callable[[Deployment], None],
    ) -> None:
        self.state = state
        self._make_fleet = make_fleet
        self._on_deleted = on_deleted
        self._live: Fleet | None = None
        self._coming: Fleet | None = None
        self._going_down = threading.Event()

    @property
    def variants(self) -> list[VariantFleet]:
        """The variants that serve now; none before the first fleet is up."""
        live = self._live
        return live.variants if live else []

    def describe(self) -> dict[str, Any]:
        """Return the endpoint as DescribeEndpoint tells it."""
        return self.state.describe(self.variants)

    def create(self, variants: Sequence[Variant]) -> None:
        """Start the first fleet; returns at once."""
        self._in_background(lambda: self._create(variants))

    def update(
        self, config_name: str, variants: Sequence[Variant], rollout: Rollout, kept: Mapping[str, Capacity]
    ) -> None:
        """Put a fleet of another configuration in place; returns at once. The status is ``Updating`` already."""
        self._in_background(lambda: self._update(config_name, variants, rollout, kept))

    def scale(self, capacities: dict[str, Capacity]) -> None:
        """Change weights and numbers of instances; returns at once. The status is ``Updating`` already."""
        for fleet in self.variants:
            fleet.desired = capacities.get(fleet.variant.name, fleet.desired)
        self._in_background(lambda: self._scale(capacities))

    def delete(self) -> None:
        """End the fleet; returns at once. The status is ``Deleting`` already."""
        self._in_background(self._delete)

    def close(self) -> None:
        """End everything now; the local AWS is going down."""
        self._going_down.set()
        live, self._live = self._live, None
        for fleet in (self._coming, live):
            if fleet is not None:
                fleet.close(drain_seconds=0, grace_seconds=_SHUTDOWN_GRACE_SECONDS)

    @contextlib.contextmanager
    def lease(self, variant_name: str | None) -> Iterator[tuple[str, Instance]]:
        """Give an instance for one request, with the name of its variant.

        :raises NoInstanceError: when there is none to give
        :raises FleetClosedError: when the endpoint serves nothing, now or any more
        """
        with contextlib.ExitStack() as stack:
            yield self._enter(stack, variant_name)

    def _enter(self, stack: contextlib.ExitStack, variant_name: str | None) -> tuple[str, Instance]:
        while True:
            live = self._live
            if live is None:
                raise FleetClosedError
            try:
                return stack.enter_context(live.lease(variant_name))
            except FleetClosedError:
                # Between the look and the lease the fleets were swapped; the new one is in place already.
                if self._live is live:
                    raise

    def _create(self, variants: Sequence[Variant]) -> None:
        try:
            self._live = self._start(variants, {})
        except InstanceError as error:
            self.state.move("Failed", reason=str(error))
        else:
            self.state.move("InService")

    def _update(
        self, config_name: str, variants: Sequence[Variant], rollout: Rollout, kept: Mapping[str, Capacity]
    ) -> None:
        try:
            new = self._start(variants, kept)
        except InstanceError as error:
            # The old fleet has served all along; on AWS, too, only the reason tells that the update failed.
            self.state.move("RollingBack", reason=str(error))
            self.state.move("InService", reason=str(error))
            return
        old, self._live = self._live, new
        self._going_down.wait(rollout.wait_seconds)
        if old is not None:
            old.close()
        self.state.move("InService", config_name=config_name)

    def _scale(self, capacities: dict[str, Capacity]) -> None:
        live = self._live
        reason = None
        if live is not None:
            try:
                live.scale(capacities)
            except InstanceError as error:
                reason = str(error)
                for fleet in live.variants:
                    fleet.desired = Capacity(fleet.weight, len(fleet.instances))
        self.state.move("InService", reason=reason)

    def _delete(self) -> None:
        live, self._live = self._live, None
        if live is not None:
            live.close()
        self._on_deleted(self)

    def _start(self, variants: Sequence[Variant], kept: Mapping[str, Capacity]) -> Fleet:
        fleet = self._make_fleet(variants, kept)
        self._coming = fleet
        if self.state.pending is not None:
            self.state.pending["ProductionVariants"] = _pending_variants(fleet)
        try:
            fleet.start()
        finally:
            self._coming = None
        return fleet

    def _in_background(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._guarded, args=(work,), name=f"endpoint {self.state.name}", daemon=True).start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if self._going_down.is_set():
                return
            _logger.exception("The endpoint %s broke off", self.state.name)
            status = "InService" if self._live else "Failed"
            self.state.move(status, reason=f"The local AWS failed: {type(error).__name__}; its log says why")


def _pending_variants(fleet: Fleet) -> list[dict[str, Any]]:
    since = dt.datetime.now(dt.timezone.utc)
    return [
        {
            **summary,
            "VariantStatus": [
                {
                    "Status": "Creating",
                    "StatusMessage": f"Launching {summary['DesiredInstanceCount']} instance(s).",
                    "StartTime": since,
                }
            ],
        }
        for summary in describe_variants(fleet.variants)
    ]
