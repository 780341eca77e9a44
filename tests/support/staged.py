"""Several threads of which one at a time goes a step, in an order that the test chooses."""

from __future__ import annotations

import threading
from itertools import chain
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Stage"]

MOST_STEPS = 5000


class Stage:
    """Actors that stop at each gate until it is their turn.

    :param failures: what actors raised
    """

    def __init__(self) -> None:
        self.failures: list[BaseException] = []
        self._actors: list[_Actor] = []
        self._current = threading.local()

    def enter(self, act: Callable[[], None]) -> None:
        """Add an actor, which does nothing yet."""
        self._actors.append(_Actor(lambda: self._perform(actor, act)))
        actor = self._actors[-1]

    def gate(self) -> None:
        """Stop here until it is the actor's turn; passes whoever is none."""
        actor: _Actor | None = getattr(self._current, "actor", None)
        if actor is not None:
            actor.stopped.set()
            actor.wait()

    def play(self, order: Sequence[int]) -> None:
        """Let the actors go to their end: a step for each number, and after the last one in turn.

        One that fails ends the play, since the others may wait for it.
        """
        for number in chain(order, range(MOST_STEPS)):
            actors = [actor for actor in self._actors if not actor.is_over]
            if not actors or self.failures:
                return
            actors[number % len(actors)].step()
        message = f"{len(actors)} of the actors get to no end"
        raise AssertionError(message)

    def _perform(self, actor: _Actor, act: Callable[[], None]) -> None:
        self._current.actor = actor
        try:
            act()
        except BaseException as error:  # noqa: BLE001 - the test raises it
            self.failures.append(error)


class _Actor:
    def __init__(self, act: Callable[[], None]) -> None:
        self._act = act
        self._go = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.stopped = threading.Event()
        self.is_over = False

    def step(self) -> None:
        """Let the actor go on to its next gate, or to its end."""
        self.stopped.clear()
        self._go.set()
        if self._thread.ident is None:
            self._thread.start()
        assert self.stopped.wait(20), "an actor waits for what no other one can do"

    def wait(self) -> None:
        """Wait for the next step."""
        self._go.wait()
        self._go.clear()

    def _run(self) -> None:
        self.wait()
        try:
            self._act()
        finally:
            self.is_over = True
            self.stopped.set()
