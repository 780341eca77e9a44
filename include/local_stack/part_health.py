"""Tells whether a part of Airflow is healthy, by what the API server says.

A program, ``python -m local_stack.part_health triggerer``, for the health checks of containers, which run it every few
seconds: standard library only, since importing Airflow for its own ``airflow jobs check`` costs seconds of a core. Must
not know how parts are started.
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["complaint"]

PARTS = ("metadatabase", "scheduler", "triggerer", "dag_processor")
TIMEOUT_SECONDS = 5.0


def complaint(health: Mapping[str, Any], part: str) -> str | None:
    """Return what is wrong with a part; None when it is healthy.

    :param health: the API server's answer to ``/api/v2/monitor/health``
    """
    report = health.get(part) or {}
    status = report.get("status")
    if status == "healthy":
        return None
    beats = [text for name, text in report.items() if name.startswith("latest_") and text]
    return f"{part} is {status or 'not there'}; its last heartbeat was {beats[0] if beats else 'never'}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Return 0 when the part is healthy, and 1 with the reason when it is not."""
    parser = argparse.ArgumentParser(prog="python -m local_stack.part_health", description="Check a part of Airflow.")
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--address", default="http://127.0.0.1:8080", help="of the API server (%(default)s)")
    options = parser.parse_args(arguments)
    try:
        with urllib.request.urlopen(f"{options.address}/api/v2/monitor/health", timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - the address is the stack's own
            reason = complaint(json.load(answer), options.part)
    except (OSError, ValueError) as error:
        reason = f"the API server at {options.address} does not tell: {error}"
    if reason is not None:
        print(reason, file=sys.stderr)
    return int(reason is not None)


if __name__ == "__main__":
    sys.exit(main())
