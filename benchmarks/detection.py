"""Compare how soon a wait is over after its job has ended.

The jobs of the edge end at moments that are random, the same for all sides, and known to the millisecond. A real
triggerer runs the waits; a wait is over when Airflow's database says that its task is not deferred any more, which is
looked at 20 times a second. Ours have ended by then, where Airflow lets a task end in the triggerer; a task of the
stock provider has yet to be started once more on a worker, which is not counted here. A wait of ours that streams the
log also looks for its last lines before it is over. The edge delivers an event the moment that a job ends; what AWS
needs for that comes on top. Run by ``make bench``.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import time
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from stage import Side, running_edge, running_triggerer, until
from waits import settle

if TYPE_CHECKING:
    from stage import EdgeClient, Triggerer

SEED = 4
FIRST_END_SECONDS = 2.0
LONGEST_LAG_SECONDS = 120.0
QUEUE = "/123456789012/training-ends"
QUEUE_PARAMETER = "event_queue_url"
WITHOUT_LOGS = {"stream_logs": False}
KINDS: dict[str, Side] = {
    "stock": Side("stock", "stock, deferrable"),
    "ours": Side("ours", "ours, polling"),
    "ours-without-logs": Side("ours", "ours, polling, no logs", WITHOUT_LOGS),
    "ours-events": Side("ours", "ours, events", {QUEUE_PARAMETER: QUEUE}),
    "ours-events-without-logs": Side("ours", "ours, events, no logs", {QUEUE_PARAMETER: QUEUE, **WITHOUT_LOGS}),
}


@dataclass
class Lags:
    """What was measured of one kind of wait.

    :param seconds: from the end of each job to the end of its wait, in order of size
    :param states: of the tasks when their waits were over
    """

    seconds: list[float]
    states: Counter[str]

    def share(self, share: float) -> float:
        """Return the lag that this share of the waits does not exceed."""
        return self.seconds[min(int(share * len(self.seconds)), len(self.seconds) - 1)]


def main() -> None:
    """Measure and print the table."""
    grammar = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    grammar.add_argument("--waits", type=int, default=200, help="how many (%(default)s)")
    grammar.add_argument("--seconds", type=float, default=90.0, help="over which the jobs end (%(default)s)")
    grammar.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="what to compare (%(default)s)")
    grammar.add_argument("--quick", action="store_true", help="a size that shows that it works, and measures nothing")
    options = grammar.parse_args()
    if options.quick:
        options.waits, options.seconds = 10, 3.0
    quiet_seconds = 5.0 if options.quick else 35.0
    lags = {kind: measure(kind, options.waits, options.seconds, quiet_seconds) for kind in options.kinds}
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.waits} jobs\n")
    report(lags)


def measure(kind: str, waits: int, seconds: float, quiet_seconds: float) -> Lags:
    """Run one kind of wait."""
    names = [f"job-{number:05}" for number in range(waits)]
    ends = random.Random(SEED)  # noqa: S311 - nothing is kept secret by it
    plan = {name: ends.uniform(FIRST_END_SECONDS, FIRST_END_SECONDS + seconds) for name in names}
    with running_edge() as edge, running_triggerer(at(edge, KINDS[kind]), edge, names) as triggerer:
        edge.create_jobs(names)
        triggerer.release()
        until(lambda: triggerer.assigned() > waits)
        settle(edge, waits, quiet_seconds)
        ended = edge.plan_ends(plan)
        over, states = watch(triggerer, waits, seconds + LONGEST_LAG_SECONDS)
    return Lags(sorted(over[name] - ended[name] for name in names), states)


def at(edge: EdgeClient, side: Side) -> Side:
    """Return the side with its queue, if it has one, on this edge."""
    if QUEUE_PARAMETER not in side.sensor:
        return side
    return replace(side, sensor={**side.sensor, QUEUE_PARAMETER: f"{edge.url}{QUEUE}"})


def watch(triggerer: Triggerer, waits: int, seconds: float) -> tuple[dict[str, float], Counter[str]]:
    """Return when each wait was over, in seconds since 1970, and how many tasks were in which state then."""
    over: dict[str, float] = {}
    states: Counter[str] = Counter()

    def all_over() -> bool:
        now = time.time()
        for name, state in triggerer.over().items():
            if name not in over:
                over[name] = now
                states[state] += 1
        return len(over) == waits

    until(all_over, seconds=seconds)
    return over, states


def report(lags: dict[str, Lags]) -> None:
    """Print the lags, and the ratios to the first kind."""
    print(f"{'job end to end of the wait':<26} {'p50 s':>8} {'p99 s':>8} {'max s':>8}   the tasks are then")
    for kind, lag in lags.items():
        states = ", ".join(f"{state} {count}" for state, count in lag.states.items())
        row = f"{lag.share(0.5):>8.2f} {lag.share(0.99):>8.2f} {lag.share(1):>8.2f}"
        print(f"{KINDS[kind].label:<26} {row}   {states}")
    first = next(iter(lags))
    for kind in list(lags)[1:]:
        p50, p99 = (lags[first].share(share) / lags[kind].share(share) for share in (0.5, 0.99))
        print(f"{KINDS[first].label} over {KINDS[kind].label}: {p50:.1f} times p50, {p99:.1f} times p99")


if __name__ == "__main__":
    main()
