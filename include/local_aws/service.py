"""What a service is to the gateway: named operations over dictionaries.

The gateway has already decoded the request and checked it against botocore's model; it encodes the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

__all__ = ["Operation", "Request", "Response", "Service"]

Request = dict[str, Any]
Response = dict[str, Any]
Operation = Callable[[Request], Response]


class Service(Protocol):
    """One AWS service, or a part of one."""

    @property
    def service_name(self) -> str:
        """Botocore's name of the service, for example ``sagemaker-runtime``."""

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name; any other is an unknown operation."""

    def start(self) -> None:
        """Clear away what an earlier life left in the state directory. Called once, before any request."""

    def close(self) -> None:
        """End whatever still runs; the local AWS is going down. Called once."""
