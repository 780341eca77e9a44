"""Writes the configuration of a registry that can be ECR's data plane.

Run as a program it prints one: ``python -m local_aws.registry.configuration --help``. Owns the registry's options; must
not know who asks it.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["registry_configuration"]


def registry_configuration(address: str, storage: Path) -> str:
    """Return the configuration for ``docker-registry serve FILE`` or for the image ``registry:2``.

    :param address: ``host:port`` on which the registry listens
    :param storage: directory of its content
    """
    configuration = {
        "version": 0.1,
        "log": {"level": "warn", "accesslog": {"disabled": True}},
        # Deletion is what BatchDeleteImage of ECR comes to.
        "storage": {"filesystem": {"rootdirectory": str(storage)}, "delete": {"enabled": True}},
        "http": {"addr": address},
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
    options = parser.parse_args(arguments)
    sys.stdout.write(registry_configuration(options.address, options.storage.resolve()))


if __name__ == "__main__":
    main()
