"""Writes the configuration of a registry that tells the local AWS of each push.

Run as a program it prints one: ``python -m local_aws.registry.configuration --help``. Owns the registry's options; must
not know what its events are good for.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from local_aws.registry.event import EVENTS_PATH

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["registry_configuration"]


def registry_configuration(address: str, storage: Path, endpoint_url: str) -> str:
    """Return the configuration for ``docker-registry serve FILE`` or for the image ``registry:2``.

    :param address: ``host:port`` on which the registry listens
    :param storage: directory of its content
    :param endpoint_url: address of the local AWS
    """
    configuration = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": {"addr": address},
        "notifications": {
            "endpoints": [
                {
                    "name": "local-aws",
                    "url": f"{endpoint_url}{EVENTS_PATH}",
                    "timeout": "30s",
                    # After so many failures in a row it waits before it tries again; it never gives up.
                    "threshold": 3,
                    "backoff": "1s",
                    "ignore": {"actions": ["pull", "mount", "delete"]},
                }
            ]
        },
    }
    # JSON is YAML too.
    return json.dumps(configuration, indent=2) + "\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a configuration."""
    parser = argparse.ArgumentParser(
        prog="python -m local_aws.registry.configuration", description="Print the configuration of ECR's data plane."
    )
    parser.add_argument("--address", default="127.0.0.1:5000", help="where the registry listens (%(default)s)")
    parser.add_argument("--storage", type=Path, required=True, help="directory of its content")
    parser.add_argument(
        "--endpoint-url", default="http://127.0.0.1:4566", help="address of the local AWS (%(default)s)"
    )
    options = parser.parse_args(arguments)
    sys.stdout.write(registry_configuration(options.address, options.storage.resolve(), options.endpoint_url))


if __name__ == "__main__":
    main()
