"""Which fleet answers the next request: the live one, or during an update one of two.

Owns the split of an endpoint's requests between its fleets. Must not know why it is what it is.
"""

from __future__ import annotations

import contextlib
import random
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from local_aws.sagemaker.fleet import Fleet, FleetClosedError, Lease, NoInstanceError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Traffic"]


@dataclass(frozen=True)
class _Split:
    live: Fleet | None = None
    coming: Fleet | None = None
    share: Fraction = Fraction(0)

    def order(self) -> list[Fleet]:
        """Return the fleets that may get the next request, the one whose turn it is first."""
        if self.live is None or self.coming is None or self.share == 0:
            return [self.live] if self.live is not None else []
        if self.share == 1:
            return [self.coming]
        is_coming = random.random() < self.share  # noqa: S311 - it spreads load, it keeps no secret
        return [self.coming, self.live] if is_coming else [self.live, self.coming]


class Traffic:
    """The way from an endpoint to its fleets. Every change of it takes effect at once and as a whole."""

    def __init__(self) -> None:
        self._split = _Split()

    @property
    def live(self) -> Fleet | None:
        """The fleet that the endpoint's configuration describes; None before the first is up and after the last."""
        return self._split.live

    @property
    def fleets(self) -> list[Fleet]:
        """Every fleet that gets requests, or may get them again."""
        split = self._split
        return [fleet for fleet in (split.live, split.coming) if fleet is not None]

    def settle(self, fleet: Fleet | None) -> None:
        """Give one fleet everything."""
        self._split = _Split(fleet)

    def share(self, coming: Fleet, share: Fraction) -> None:
        """Give a part of the requests to a fleet that shall take over from the live one."""
        self._split = _Split(self._split.live, coming, share)

    @contextlib.contextmanager
    def lease(self, variant_name: str | None) -> Iterator[Lease]:
        """Give an instance for one request; a fleet without a healthy one leaves it to the other.

        :raises NoInstanceError: when there is none to give
        :raises FleetClosedError: when nothing serves, now or any more
        """
        with contextlib.ExitStack() as stack:
            yield self._enter(stack, variant_name)

    def _enter(self, stack: contextlib.ExitStack, variant_name: str | None) -> Lease:
        while True:
            split = self._split
            refusal: Exception = FleetClosedError()
            for fleet in split.order():
                try:
                    return stack.enter_context(fleet.lease(variant_name))
                except (FleetClosedError, NoInstanceError) as error:
                    refusal = error
            # Between the look and the lease the traffic may have moved; then the new way is open already.
            if self._split is split:
                raise refusal
