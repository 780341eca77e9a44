"""Brings an endpoint from one state to the next: first fleet, update, new capacities, end.

Owns the endpoint's fleets and the threads that change them. Must not know the API, nor the steps of an update.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from local_aws.sagemaker.baking import Baking, BakingError
from local_aws.sagemaker.fleet import Capacity, Fleet, Lease, VariantFleet
from local_aws.sagemaker.fleet_update import FleetUpdate, Scene, update_of
from local_aws.sagemaker.instance import InstanceError
from local_aws.sagemaker.traffic import Traffic

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from local_aws.sagemaker.alarm import Alarms
    from local_aws.sagemaker.endpoint_config import Variant
    from local_aws.sagemaker.endpoint_state import EndpointState
    from local_aws.sagemaker.rollout import Rollout

__all__ = ["Deployment"]

_SHUTDOWN_GRACE_SECONDS = 5.0

_logger = logging.getLogger(__name__)


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
        self._traffic = Traffic()
        self._coming: Fleet | None = None
        self._is_mixed = False
        self._going_down = threading.Event()

    @property
    def variants(self) -> list[VariantFleet]:
        """The production variants of the live configuration; none before the first fleet is up."""
        live = self._traffic.live
        return live.variants if live else []

    @property
    def shadows(self) -> list[VariantFleet]:
        """The shadow variants of the live configuration."""
        live = self._traffic.live
        return live.shadows if live else []

    def describe(self) -> dict[str, Any]:
        """Return the endpoint as DescribeEndpoint tells it."""
        return self.state.describe(self._traffic.live, self._coming)

    def create(self, variants: Sequence[Variant]) -> None:
        """Start the first fleet; returns at once."""
        self._in_background(lambda: self._create(variants))

    def update(
        self,
        config_name: str,
        variants: Sequence[Variant],
        kept: Mapping[str, Capacity],
        rollout: Rollout,
        alarms: Alarms,
    ) -> None:
        """Put a fleet of another configuration in place; returns at once. The status is ``Updating`` already."""
        baking = Baking(alarms, rollout.limit_seconds, self._going_down.wait)
        self._in_background(lambda: self._update(config_name, variants, kept, rollout, baking))

    def scale(self, capacities: dict[str, Capacity]) -> None:
        """Change weights and numbers of instances; returns at once. The status is ``Updating`` already."""
        for fleet in [*self.variants, *self.shadows]:
            fleet.desired = capacities.get(fleet.variant.name, fleet.desired)
        self._in_background(lambda: self._scale(capacities))

    def delete(self) -> None:
        """End the fleet; returns at once. The status is ``Deleting`` already."""
        self._in_background(self._delete)

    def close(self) -> None:
        """End everything now; the local AWS is going down."""
        self._going_down.set()
        fleets = {*self._traffic.fleets, *([self._coming] if self._coming else [])}
        self._traffic.settle(None)
        for fleet in fleets:
            fleet.close(drain_seconds=0, grace_seconds=_SHUTDOWN_GRACE_SECONDS)

    def lease(self, variant_name: str | None) -> AbstractContextManager[Lease]:
        """Give an instance for one request, with the name of its variant.

        :raises NoInstanceError: when there is none to give
        :raises FleetClosedError: when the endpoint serves nothing, now or any more
        """
        return self._traffic.lease(variant_name)

    def _create(self, variants: Sequence[Variant]) -> None:
        try:
            self._coming = self._make_fleet(variants, {})
            self._coming.start()
        except InstanceError as error:
            self.state.move("Failed", reason=str(error))
        else:
            self._traffic.settle(self._coming)
            self.state.move("InService")
        finally:
            self._coming = None

    def _update(
        self,
        config_name: str,
        variants: Sequence[Variant],
        kept: Mapping[str, Capacity],
        rollout: Rollout,
        baking: Baking,
    ) -> None:
        update: FleetUpdate | None = None
        try:
            self._coming = self._make_fleet(variants, kept)
            update = update_of(rollout, self._scene(self._coming, baking))
            update.carry_out()
        except (InstanceError, BakingError) as error:
            self._roll_back(update, str(error))
        else:
            self._is_mixed = False
            self.state.move("InService", config_name=config_name)
        finally:
            self._coming = None

    def _scene(self, coming: Fleet, baking: Baking) -> Scene:
        live = self._traffic.live
        if live is None:
            raise InstanceError("the endpoint was ended before its update")
        return Scene(self._traffic, live, coming, baking, lambda: self.state.on_progress(self.state))

    def _roll_back(self, update: FleetUpdate | None, reason: str) -> None:
        """Go back; that only the reason tells of it afterwards is how it is on AWS."""
        self.state.move("RollingBack", reason=reason)
        try:
            if update is not None:
                update.roll_back()
        except InstanceError as error:
            self._serve_with_both()
            # Guess; that status is documented for a rolling update whose way back fails, its reason is not.
            self.state.move("UpdateRollbackFailed", reason=f"{reason} The rollback failed too: {error}")
        else:
            # Guess; a mix that an update did not make whole is what it was before.
            self.state.move("UpdateRollbackFailed" if self._is_mixed else "InService", reason=reason)

    def _serve_with_both(self) -> None:
        """Make one fleet of what is left of the old one and what there is of the new one."""
        live, coming = self._traffic.live, self._coming
        if live is not None and coming is not None:
            self._is_mixed = True
            self._traffic.settle(live)
            live.take_over(coming)
            for fleet in live.variants:
                fleet.stage = None

    def _scale(self, capacities: dict[str, Capacity]) -> None:
        live = self._traffic.live
        reason = None
        if live is not None:
            try:
                live.scale(capacities)
            except InstanceError as error:
                reason = str(error)
                for fleet in [*live.variants, *live.shadows]:
                    fleet.desired = Capacity(fleet.weight, len(fleet.instances))
        self.state.move("InService", reason=reason)

    def _delete(self) -> None:
        fleets = self._traffic.fleets
        self._traffic.settle(None)
        for fleet in fleets:
            fleet.close()
        self._on_deleted(self)

    def _in_background(self, work: Callable[[], None]) -> None:
        threading.Thread(target=self._guarded, args=(work,), name=f"endpoint {self.state.name}", daemon=True).start()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            if self._going_down.is_set():
                return
            _logger.exception("The endpoint %s broke off", self.state.name)
            status = "InService" if self._traffic.live else "Failed"
            self.state.move(status, reason=f"The local AWS failed: {type(error).__name__}; its log says why")
