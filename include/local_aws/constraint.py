"""The constraints of a service model, and AWS's words for each one that is not met.

Owns enum, pattern, length and range. Must not know where in a request a value stands.
"""

from __future__ import annotations

import functools
from typing import Any

import regex

__all__ = ["scalar_faults", "size_faults"]

_PATTERN_SECONDS = 1.0
"""A pattern that needs longer (nested repetition on a hostile text) counts as not matched."""

_JAVA_PAIR_RANGE = r"\uD800\uDC00-\uDBFF\uDFFF"
_PYTHON_PAIR_RANGE = r"\U00010000-\U0010FFFF"


def scalar_faults(shape: Any, value: Any) -> list[str]:
    """Return the constraints of a scalar shape that ``value`` breaks, worded as AWS words them."""
    if isinstance(value, str):
        return _string_faults(shape, value)
    if isinstance(value, bytes):
        return size_faults(shape, len(value))
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _limit_faults(shape, value, "value")
    return []


def size_faults(shape: Any, size: int) -> list[str]:
    """Return the length constraints of a string, blob, list or map that a length breaks."""
    return _limit_faults(shape, size, "length")


def _string_faults(shape: Any, value: str) -> list[str]:
    if shape.enum:
        if value in shape.enum:
            return []
        return [f"Member must satisfy enum value set: [{', '.join(shape.enum)}]"]
    faults = size_faults(shape, len(value))
    pattern = shape.metadata.get("pattern")
    if pattern and not _matches(pattern, value):
        faults.append(f"Member must satisfy regular expression pattern: {pattern}")
    return faults


def _limit_faults(shape: Any, number: float, noun: str) -> list[str]:
    faults = []
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if low is not None and number < low:
        faults.append(f"Member must have {noun} greater than or equal to {low}")
    if high is not None and number > high:
        faults.append(f"Member must have {noun} less than or equal to {high}")
    return faults


def _matches(pattern: str, value: str) -> bool:
    try:
        return _compiled(pattern).fullmatch(value, timeout=_PATTERN_SECONDS) is not None
    except TimeoutError:
        return False


@functools.cache
def _compiled(pattern: str) -> Any:
    # The models are written for Java: classes like \p{Alnum} (which `regex` knows and `re` does not)
    # and astral characters written as ranges of surrogate pairs.
    return regex.compile(pattern.replace(_JAVA_PAIR_RANGE, _PYTHON_PAIR_RANGE))
