"""Ends the containers when the local AWS is gone, however it went.

Runs as a process of its own, without any package: it reads ``+<group>`` and ``-<group>`` lines from its standard
input, and at the end of it, which comes even when the local AWS is killed, it kills every group still on the list.
Works on Linux and macOS alike, and reaches grandchildren, which the kernel's parent-death signal does not.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterable


def left_over(orders: Iterable[str]) -> set[int]:
    """Return the groups that were added and never taken off."""
    groups: set[int] = set()
    for order in orders:
        group = int(order[1:])
        if order.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    return groups


def main() -> None:
    """Watch until the standard input ends."""
    for group in left_over(sys.stdin):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
