"""Which of many watched resources has to be looked at next.

Owns the order: what is said to have ended, then what nobody has looked at yet, then, as a safety net, what has not been
looked at for longest. Makes no call, keeps no clock, and does not know what is watched.
"""

from __future__ import annotations

__all__ = ["WatchList"]


class WatchList:
    """Names, each of which is in one queue at a time; all times are seconds on one clock of the caller's.

    Every operation takes the same time for ten names and for ten thousand, but for those that were put off, which are
    few.
    """

    def __init__(self) -> None:
        # dictionaries, since they keep their order and lose an item in the middle at no cost
        self._urgent: dict[str, None] = {}
        self._unseen: dict[str, None] = {}
        self._put_off: dict[str, float] = {}
        self._looked_at: dict[str, float] = {}

    def add(self, name: str) -> None:
        """Take up a name that nobody has looked at."""
        self._unseen[name] = None

    def drop(self, name: str) -> None:
        """Forget a name."""
        for queue in (self._urgent, self._unseen, self._put_off, self._looked_at):
            queue.pop(name, None)

    def hasten(self, name: str) -> None:
        """Have a name looked at before all others, since something has happened to it."""
        self.drop(name)
        self._urgent[name] = None

    def put_off(self, name: str, until: float) -> None:
        """Have a name looked at again, but not before a time."""
        self.drop(name)
        self._put_off[name] = until

    def looked(self, name: str, now: float) -> None:
        """Note that a name was looked at, and that there is no reason to do so again soon."""
        self.drop(name)
        self._looked_at[name] = now

    def due(self, now: float, limit: int) -> list[str]:
        """Return whom to look at now, the most pressing first; each stays due until a look at it is noted."""
        ready = [name for name, until in self._put_off.items() if until <= now]
        names: list[str] = []
        for queue in (self._urgent, ready, self._unseen):
            for name in queue:
                if len(names) == limit:
                    return names
                names.append(name)
        return names

    def overlooked(self, before: float) -> str | None:
        """Return the name that has not been looked at for longest, if that was before a time."""
        name = next(iter(self._looked_at), None)
        return name if name is not None and self._looked_at[name] <= before else None

    def wakes_at(self) -> float | None:
        """Return when the first of the names that were put off is due; None when there is none."""
        return min(self._put_off.values(), default=None)
