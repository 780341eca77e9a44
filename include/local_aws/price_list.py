"""AWS's price list, which is empty here: nothing on this machine costs anything.

Owns GetProducts, so that whoever asks for a price learns that there is none instead of meeting a failure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local_aws.service import Operation, Request, Response

__all__ = ["PriceListService"]


class PriceListService:
    """The price list's one operation that is needed."""

    service_name = "pricing"

    @property
    def operations(self) -> Mapping[str, Operation]:
        """Operations by their AWS name."""
        return {"GetProducts": self._get_products}

    def start(self) -> None:
        """Nothing is left of an earlier life."""

    def close(self) -> None:
        """Nothing runs here."""

    def _get_products(self, request: Request) -> Response:  # noqa: ARG002 - whatever is asked for has no price
        return {"FormatVersion": "aws_v1", "PriceList": []}
