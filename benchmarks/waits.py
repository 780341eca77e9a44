"""Compare what a thousand waits in which nothing changes cost: calls of AWS, and the triggerer's processor and memory.

A real triggerer runs deferred tasks against an endpoint that counts calls. First it runs nothing but a probe, which
measures how late the event loop is; what this takes is the idle spell, and is subtracted. Then the waits are released,
all at one moment; from then until every job was looked at, and a round of looks longer, is the start, and what follows
is the steady spell. Where the first looks take longer than seven minutes, it begins without waiting for their end, and
the table says so. Run by ``make bench``.
"""

from __future__ import annotations

import argparse
import os
import platform
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from stage import EdgeClient, Side, Triggerer, running_edge, running_triggerer, until

if TYPE_CHECKING:
    from collections.abc import Iterator

SIDES = {
    "stock": Side("stock", "stock, deferrable"),
    "ours": Side("ours", "ours"),
    "ours-without-logs": Side("ours", "ours, stream_logs=False", {"stream_logs": False}),
}
QUIET_SECONDS = 35.0
"""Longer than the longest pause between two looks of either side, stock's 30 s."""

IDLE_SECONDS = 20.0
TAKE_UP_LIMIT_SECONDS = 1800.0
SETTLE_LIMIT_SECONDS = 420.0
LOOK_SECONDS = 1.0
MEGABYTE = 1e6


@dataclass
class Spell:
    """What a triggerer used during a spell.

    :param runner_seconds: of processor time, in the process of the triggers
    :param supervisor_seconds: of processor time, in the process that talks to the database
    :param lags: of the event loop in seconds, in order of size
    """

    seconds: float = 0.0
    runner_seconds: float = 0.0
    supervisor_seconds: float = 0.0
    lags: list[float] = field(default_factory=list)

    @property
    def runner_a_minute(self) -> float:
        """Processor time of the process of the triggers in a minute."""
        return self.runner_seconds / self.seconds * 60

    def lag(self, share: float) -> float:
        """Return the lag that this share of the ticks does not exceed, in milliseconds."""
        return self.lags[min(int(share * len(self.lags)), len(self.lags) - 1)] * 1000


@dataclass
class Cost:
    """What was measured of one side.

    :param calls: of AWS in the steady spell, by action
    :param settled: False when jobs were still looked at for the first time while it was measured
    :param grown_bytes: of resident memory since before the release, in the process of the triggers
    """

    side: Side
    idle: Spell
    start: Spell
    steady: Spell
    calls: Counter[str]
    settled: bool
    grown_bytes: int
    described: int
    files: int

    @property
    def calls_a_minute(self) -> float:
        """All calls."""
        return self.calls.total() / self.steady.seconds * 60

    @property
    def start_seconds(self) -> float:
        """Processor time of the start, beyond what is used idly."""
        return self.start.runner_seconds - self.idle.runner_a_minute * self.start.seconds / 60

    @property
    def steady_a_minute(self) -> float:
        """Processor time of a steady minute, beyond what is used idly."""
        return self.steady.runner_a_minute - self.idle.runner_a_minute


def main() -> None:
    """Measure and print the tables."""
    options = parser().parse_args()
    if options.quick:
        options.waits, options.seconds, options.quiet_seconds, options.idle_seconds = 20, 3.0, 8.0, 2.0
    costs = [measure(SIDES[name], options) for name in options.sides]
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {options.waits} waits\n")
    report(costs)
    report_calls(costs)


def parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    grammar = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    grammar.add_argument("--waits", type=int, default=1000, help="how many (%(default)s)")
    grammar.add_argument("--seconds", type=float, default=120.0, help="of the steady spell (%(default)s)")
    grammar.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES), help="what to compare (%(default)s)")
    grammar.add_argument("--quick", action="store_true", help="a size that shows that it works, and measures nothing")
    grammar.set_defaults(quiet_seconds=QUIET_SECONDS, idle_seconds=IDLE_SECONDS)
    return grammar


def measure(side: Side, options: argparse.Namespace) -> Cost:
    """Run one side."""
    names = [f"job-{number:05}" for number in range(options.waits)]
    with running_edge() as edge, running_triggerer(side, edge, names) as triggerer:
        edge.create_jobs(names)
        with spell(triggerer) as idle:
            time.sleep(options.idle_seconds)
        before = triggerer.runner.memory_info().rss
        with spell(triggerer) as start:
            triggerer.release()
            until(lambda: triggerer.assigned() > len(names), seconds=TAKE_UP_LIMIT_SECONDS)
            settled = settle(edge, len(names), options.quiet_seconds)
        edge.reset_calls()
        with spell(triggerer) as steady:
            time.sleep(options.seconds)
        state = edge.state()
        still_deferred = len(names) - len(triggerer.over())
        if still_deferred < len(names):
            raise SystemExit(f"{side.label}: {len(names) - still_deferred} waits ended, though no job did")
        return Cost(
            side,
            idle,
            start,
            steady,
            Counter(state["calls"]),
            settled,
            triggerer.runner.memory_info().rss - before,
            state["described"],
            triggerer.runner.num_fds(),
        )


def settle(edge: EdgeClient, waits: int, quiet_seconds: float) -> bool:
    """Wait until every job was looked at, and a while longer; return False when that takes too long."""
    limit = time.monotonic() + SETTLE_LIMIT_SECONDS
    while edge.state()["described"] < waits:
        if time.monotonic() > limit:
            return False
        time.sleep(LOOK_SECONDS)
    time.sleep(quiet_seconds)
    return True


@contextmanager
def spell(triggerer: Triggerer) -> Iterator[Spell]:
    """Measure what the triggerer uses during the block."""
    measured = Spell()
    processes = (triggerer.runner, triggerer.process)
    begin, used = time.time(), [sum(process.cpu_times()[:2]) for process in processes]
    yield measured
    measured.seconds = time.time() - begin
    measured.runner_seconds, measured.supervisor_seconds = (
        sum(process.cpu_times()[:2]) - before for process, before in zip(processes, used, strict=True)
    )
    measured.lags = triggerer.lags(begin, time.time())


def report(costs: list[Cost]) -> None:
    """Print what the triggerer used, and the ratios of the first side to the others."""
    print(
        "processor time in seconds beyond the idle spell's, of a minute where it is steady; lag of the event loop in ms"
    )
    print(
        f"{'':<26} {'calls/min':>10} {'start s':>8} {'CPU':>7} {'lag p99':>8} {'max':>7} "
        f"{'steady CPU':>11} {'lag p99':>8} {'max':>7} {'MB grown':>9} {'files':>6}"
    )
    for cost in costs:
        start, steady = cost.start, cost.steady
        print(
            f"{cost.side.label:<26} {cost.calls_a_minute:>10.1f} {start.seconds:>8.1f} {cost.start_seconds:>7.2f} "
            f"{start.lag(0.99):>8.1f} {start.lag(1):>7.1f} {cost.steady_a_minute:>11.2f} "
            f"{steady.lag(0.99):>8.1f} {steady.lag(1):>7.1f} {cost.grown_bytes / MEGABYTE:>9.1f} {cost.files:>6}"
        )
    report_idle(costs)
    first = costs[0]
    for cost in costs[1:]:
        print(
            f"{first.side.label} over {cost.side.label}: "
            f"{ratio(first.calls_a_minute, cost.calls_a_minute)} times the calls, "
            f"{ratio(first.start_seconds, cost.start_seconds)} times the CPU of the start, "
            f"{ratio(first.steady_a_minute, cost.steady_a_minute)} times that of the steady spell, "
            f"{ratio(first.grown_bytes, cost.grown_bytes)} times the memory"
        )


def report_idle(costs: list[Cost]) -> None:
    """Print what was subtracted, and what the triggerer's other process used, which is Airflow's own affair."""
    print(f"\n{'CPU of a minute':<26} {'idle':>7} {'supervisor idle':>16} {'steady':>7}   {'lag p99':>8} {'max':>10}")
    for cost in costs:
        supervisor = [spell.supervisor_seconds / spell.seconds * 60 for spell in (cost.idle, cost.steady)]
        print(
            f"{cost.side.label:<26} {cost.idle.runner_a_minute:>7.2f} {supervisor[0]:>16.2f} {supervisor[1]:>7.2f}   "
            f"{cost.idle.lag(0.99):>8.1f} {cost.idle.lag(1):>10.1f}"
        )
    print()


def ratio(theirs: float, ours: float) -> str:
    """Return how many times ours theirs is; nothing sensible can be said when ours is not above zero."""
    return f"{theirs / ours:.1f}" if ours > 0 else "(ours is nothing:)"


def report_calls(costs: list[Cost]) -> None:
    """Print the calls by action."""
    print(f"\n{'calls a minute, steady':<26} {'jobs ever described':>20}")
    for cost in costs:
        each = ", ".join(f"{action} {count / cost.steady.seconds * 60:.1f}" for action, count in cost.calls.items())
        note = "" if cost.settled else "; the first looks were still going on"
        print(f"{cost.side.label:<26} {cost.described:>20}   {each or 'none'}{note}")


if __name__ == "__main__":
    main()
