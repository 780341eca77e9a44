"""Which texts of a request can become variables and arguments of a program.

Owns the limits of the operating system, which the service model does not state. Must not know engines.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from local_aws.errors import validation

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["check_program_text"]


def check_program_text(path: str, texts: Iterable[str]) -> None:
    """Refuse texts that no program can be given: exec(2) ends each at its first NUL, and passes bytes.

    :param path: where the texts are in the request, in the spelling of AWS's messages
    :raises AwsError: ``ValidationException``; that AWS refuses them, and how, is a guess
    """
    for text in texts:
        if "\0" in text or not _has_bytes(text):
            message = (
                f"Value {text!a} at '{path}' failed to satisfy constraint: Member must not have NUL characters "
                "or halves of surrogate pairs, since no program can be given them"
            )
            raise validation(message)


def _has_bytes(text: str) -> bool:
    try:
        os.fsencode(text)
    except UnicodeEncodeError:
        return False
    return True
