"""Hiding the values of secrets in text.

Owns the forms in which a value shows itself. Knows neither who reads the text nor Airflow's own masking.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Mask", "secret_forms"]

SHORTEST_LINE = 4
"""Characters of a line that is a secret of its own; a shorter one is a bracket, and hiding it would hide nothing."""


def secret_forms(value: str) -> set[str]:
    """List the texts that tell a secret: its value, its lines, and each as it stands in JSON and in an address.

    A log is written line by line, and docker-py sends build arguments as JSON in the address of its request, which its
    errors repeat.

    :param value: an empty one has no form
    """
    lines = {line.strip() for line in value.splitlines()}
    plain = {value} | {line for line in lines if len(line) >= SHORTEST_LINE} if value else set()
    plain |= {json.dumps(text)[1:-1] for text in plain}
    return plain | {quoted(text) for text in plain for quoted in (_quote, quote_plus)}


def _quote(text: str) -> str:
    return quote(text, safe="")


class Mask:
    """Hide the values of secrets.

    :param secrets: the values; empty ones hide nothing
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        # The longest first, since one may be part of another.
        self._forms = sorted({form for each in secrets for form in secret_forms(each)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        """Return the text with ``***`` for each secret."""
        for form in self._forms:
            text = text.replace(form, "***")
        return text

    def finds(self, text: str) -> bool:
        """Tell whether a secret stands in the text."""
        return any(form in text for form in self._forms)

    def cause(self, error: Exception) -> Exception | None:
        """Return the error to raise another one from; None where its own text may tell a secret.

        A traceback shows the text of every cause, and what an HTTP library writes there nobody can mask for it.
        """
        return None if self._forms else error
