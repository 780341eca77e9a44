"""The watch over a deployment while it waits.

Owns the looks at alarms and at the clock. Must not know what is deployed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Baking", "BakingError", "BrokenOffError", "Watched"]

_LOOK_SECONDS = 0.5
"""Between two looks at the alarms; AWS does not say how often it looks."""


class BakingError(Exception):
    """The deployment must be rolled back; the text is the endpoint's FailureReason."""


class BrokenOffError(Exception):
    """Nobody needs the deployment any more."""


class Watched(Protocol):
    """What can end a deployment early."""

    def tripped(self) -> list[str]:
        """Return the names of what asks for a rollback now."""


class Baking:
    """Waits as long as nothing speaks against going on.

    An alarm that is in ALARM before the deployment begins counts at the first look as any other does; what AWS does
    then is not documented.

    :param alarms: looked at again and again
    :param limit_seconds: for the whole deployment, from now on; None for as long as it takes
    :param sleep: waits so many seconds and tells whether the local AWS is going down
    :param clock: monotonic seconds
    """

    def __init__(
        self,
        alarms: Watched,
        limit_seconds: float | None,
        sleep: Callable[[float], bool],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._alarms = alarms
        self._limit_seconds = limit_seconds
        self._sleep = sleep
        self._clock = clock
        self._began = clock()

    def check_time(self) -> None:
        """Look at the time limit alone.

        :raises BakingError: it is over
        """
        if self._limit_seconds is not None and self._clock() - self._began >= self._limit_seconds:
            # Guess; that exceeding the limit "causes a timeout" is documented.
            message = f"The deployment exceeded MaximumExecutionTimeoutInSeconds ({self._limit_seconds:g})."
            raise BakingError(message)

    def bake(self, seconds: float) -> None:
        """Wait, and look at the alarms meanwhile: at the beginning, at the end and in between.

        :raises BakingError: an alarm is in ALARM, or the time limit is over
        :raises BrokenOffError: the local AWS is going down
        """
        end = self._clock() + seconds
        while True:
            self._look()
            left = end - self._clock()
            if left <= 0:
                return
            if self._sleep(min(left, _LOOK_SECONDS)):
                raise BrokenOffError

    def _look(self) -> None:
        self.check_time()
        tripped = self._alarms.tripped()
        if tripped:
            # Guess; AWS's wording is not public.
            message = f"The deployment was rolled back: CloudWatch alarm(s) in state ALARM: {', '.join(tripped)}."
            raise BakingError(message)
